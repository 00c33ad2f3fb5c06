// Pods of real daemons on this machine, and an origin of the Internet beside them. Packages: python3.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "node/crypto/sha256.h"
#include "node/store/mem_store.h"
#include "tests/support/leased_port.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"
#include <nlohmann/json.hpp>

namespace orchard {

class PodLab : public testing::Test {
 protected:
  using Json = nlohmann::json;
  using Words = std::vector<std::string>;
  struct Origin {
    std::unique_ptr<Process> process;
    std::string at;  // "https://127.0.0.1:12345"
  };

  PodLab() { std::filesystem::create_directory(www_); }

  // ---- The world ----
  std::string Film(const std::string& name, size_t size) {
    std::string bytes(size, 0);
    Rng rng(Key32{9});
    rng.Fill(absl::MakeSpan(reinterpret_cast<uint8_t*>(bytes.data()), size));
    std::ofstream(www_ + "/" + name, std::ios::binary) << bytes;
    return ToHex(crypto::Sha256(AsBytes(bytes)));
  }
  void Page(const std::string& name, const std::string& text) { std::ofstream(www_ + "/" + name, std::ios::binary) << text; }
  Origin Serve(bool https, const Words& options = {}) {
    Words command = {"/usr/bin/python3", ORCHARD_SOURCE_DIR "/tests/apps/origin.py", www_};
    if (https) command.insert(command.end(), {"--cert", Certificate()});
    command.insert(command.end(), options.begin(), options.end());
    Origin origin{std::make_unique<Process>(command), ""};
    EXPECT_TRUE(origin.process->WaitForError("port ") && origin.process->WaitForError("\n")) << origin.process->err();
    const std::string said = origin.process->err();
    origin.at = (https ? "https://127.0.0.1:" : "http://127.0.0.1:") + said.substr(5, said.find('\n') - 5);
    return origin;
  }
  // For 127.0.0.1, by nobody but itself; with its key, in PEM.
  std::string Certificate() {
    const std::string file = dir_ / "certificate.pem";
    if (std::filesystem::exists(file)) return file;
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
    const std::unique_ptr<X509, decltype(&X509_free)> x(X509_new(), X509_free);
    CHECK(key != nullptr && x != nullptr);
    X509_set_version(x.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(x.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x.get()), 86'400);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x.get()), "CN", MBSTRING_ASC, reinterpret_cast<const uint8_t*>("origin.test"), -1, -1, 0);
    X509_set_issuer_name(x.get(), X509_get_subject_name(x.get()));
    X509_set_pubkey(x.get(), key.get());
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, x.get(), x.get(), nullptr, nullptr, 0);
    for (const auto& [name, value] : {std::pair(NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost"), std::pair(NID_basic_constraints, "critical,CA:TRUE")}) {
      X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, &context, name, value);
      CHECK(e != nullptr && X509_add_ext(x.get(), e, -1) == 1);
      X509_EXTENSION_free(e);
    }
    CHECK(X509_sign(x.get(), key.get(), EVP_sha256()) > 0);
    FILE* out = std::fopen(file.c_str(), "w");
    CHECK(out != nullptr && PEM_write_X509(out, x.get()) == 1 && PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
    std::fclose(out);
    return file;
  }

  // ---- The pod ----
  // Of `count` daemons that talk to nobody else; they have found each other. The first has a proxy.
  void Form(size_t count, const std::string& profile = "hardened", const Words& more = {}) {
    for (size_t i = 0; i < count; ++i) Begin(i, profile, more);
    for (size_t i = 0; i < count; ++i) {
      ASSERT_TRUE(Until([&] { return Ask(i, "status")["peers"] == count - 1; })) << i << ": " << Ask(i, "status") << nodes_[i]->err();
    }
  }
  void Begin(size_t i, const std::string& profile, const Words& more = {}) {
    Words command = {ORCHARD_PROGRAM, "node", "--data", data(i)};
    for (const std::string& set : Words{"dht.host=127.0.0.1", "dht.port=0", "dht.nodes=", "pod.enabled=true", "pod.loopback=true", "pod.allow_private=true",
                                        "pod.profile=" + profile, "pod.transport_port=0", "pod.discovery_port=" + std::to_string(discovery_),
                                        "pod.proxy_port=" + std::to_string(i == 0 ? proxy_ : 0)}) {
      command.insert(command.end(), {"--set", set});
    }
    command.insert(command.end(), more.begin(), more.end());
    if (nodes_.size() <= i) nodes_.resize(i + 1);
    nodes_[i] = std::make_unique<Process>(command);
    ASSERT_TRUE(nodes_[i]->WaitForError("host.started")) << nodes_[i]->err();
  }
  std::string data(size_t i) const { return dir_ / ("node" + std::to_string(i)); }
  // The last event's data of `orchard pod OPERATION`.
  Json Ask(size_t i, const std::string& operation) {
    Process p({ORCHARD_PROGRAM, "pod", operation, "--json", "--no-start", "--data", data(i)});
    EXPECT_EQ(p.Wait(), 0) << p.err();
    return Last(p.out());
  }
  static Json Last(const std::string& lines) {
    const size_t end = lines.rfind('\n', lines.size() - 2);
    const Json event = Json::parse(lines.substr(end == lines.npos ? 0 : end + 1), nullptr, false);
    return event.is_object() && event.contains("data") ? event["data"] : Json();
  }
  bool Until(const std::function<bool()>& done) {
    const Instant end = host::BootNow() + Process::kBound;
    while (!done()) {
      if (host::BootNow() > end) return false;
    }
    return true;
  }

  // ---- Getting ----
  std::unique_ptr<Process> Get(const std::string& url, const std::string& file, const Words& more = {}) {
    Words command = {ORCHARD_PROGRAM, "pod", "get", url, "-o", file, "--json", "--no-start", "--data", data(0)};
    command.insert(command.end(), more.begin(), more.end());
    return std::make_unique<Process>(command);
  }
  static std::string Sum(const std::string& file) {
    std::stringstream s;
    s << std::ifstream(file, std::ios::binary).rdbuf();
    const std::string bytes = s.str();
    return ToHex(crypto::Sha256(AsBytes(bytes)));
  }
  static bool There(const std::string& file) { return std::filesystem::exists(file); }
  // What it brought, by the final event's `uplinks`; "own" is ours.
  static std::vector<uint64_t> Shares(const Json& final) {
    std::vector<uint64_t> out;
    for (const Json& u : final["uplinks"]) out.push_back(u["bytes"].get<uint64_t>());
    return out;
  }

  TempDir dir_;
  const std::string www_ = dir_ / "www";
  const LeasedPort discovery_, proxy_;  // Tests run beside each other; each has a pod of its own.
  std::vector<std::unique_ptr<Process>> nodes_;
};

}  // namespace orchard
