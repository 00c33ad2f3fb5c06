// A real daemon with sites, on ports of its own: started with what a test sets, asked by curl and by the command line.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/leased_port.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include <nlohmann/json.hpp>

namespace orchard {

class CageDaemon : public testing::Test {
 protected:
  using Json = nlohmann::json;
  using Words = std::vector<std::string>;

  void Begin(const Words& sets) {
    Words command = {ORCHARD_PROGRAM, "node", "--data", data_};
    Words all = {"dht.host=127.0.0.1", "dht.port=0", "dht.nodes=", "cage.host=127.0.0.1", "cage.http_port=" + std::to_string(port_),
                 "cage.https_port=" + std::to_string(secure_), "cage.admin_port=" + std::to_string(admin_)};
    all.insert(all.end(), sets.begin(), sets.end());
    for (const std::string& set : all) command.insert(command.end(), {"--set", set});
    node_ = std::make_unique<Process>(command);
    ASSERT_TRUE(node_->WaitForError("host.started")) << node_->err();
  }
  // What curl says.
  std::string Curl(const Words& words) {
    Words command = {"/usr/bin/curl", "-sS", "--max-time", "60"};
    command.insert(command.end(), words.begin(), words.end());
    Process curl(command);
    curl.Wait();
    return curl.out() + curl.err();
  }
  std::string Url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }
  // The final event's data of `orchard WORDS`, which ends with the status `expected`.
  Json Ask(const Words& words, int expected = 0) {
    Words command = {ORCHARD_PROGRAM};
    command.insert(command.end(), words.begin(), words.end());
    command.insert(command.end(), {"--json", "--no-start", "--data", data_});
    Process p(command);
    EXPECT_EQ(p.Wait(), expected) << p.out() << p.err();
    const std::string out = p.out();
    const size_t end = out.rfind('\n', out.size() - 2);
    const Json event = Json::parse(out.substr(end == out.npos ? 0 : end + 1), nullptr, false);
    return event.is_object() && event.contains("data") ? event["data"] : Json();
  }
  bool Until(const std::function<bool()>& done) {
    const Instant end = host::BootNow() + Process::kBound;
    while (!done()) {
      if (host::BootNow() > end) return false;
      usleep(20'000);
    }
    return true;
  }
  bool Healthy(const std::string& site, size_t n) {
    return Until([&] { return Ask({"cage", "status", site})["healthy"] == n; });
  }

  TempDir dir_;
  const std::string data_ = dir_ / "data";
  const LeasedPort port_, secure_, admin_;
  std::unique_ptr<Process> node_;
};

}  // namespace orchard
