// Makes run directories of any size without a simulator: plausible shapes (a mix of NATs, a partition,
// lookups that fail while it lasts), the same bytes each time. Documented format: docs/RUN-DIRECTORY.md.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace orchard::reports {

class FakeRun {
 public:
  explicit FakeRun(size_t hosts, std::string name = "first-light") : n_(hosts), name_(std::move(name)) {}
  std::string hostile;  // Appended to one host's id, a claim, a region's name and a moment.
  bool passed = true;
  std::string case_name;
  uint64_t seed = 1;
  bool connections = false;  // Edges of `connect` beside those of the DHT, and what is told of them.
  double slowness = 1;
  size_t cage_sites = 0, cage_slots = 3, cage_deaths = 4;  // Sites of cages, slots of each, and deaths in all.

  void WriteTo(const std::filesystem::path& dir) {
    std::filesystem::create_directories(dir);
    state_ = seed * 77;
    MakeHosts();
    Write(dir / "result.json", Result());
    Write(dir / "topology.json", Topology());
    Write(dir / "series.json", Series());
    if (cage_sites > 0) Write(dir / "cages.json", Cages());
  }

  // A root with one folder per case. Runs get the file's name from here.
  static void WriteCases(const std::filesystem::path& dir, std::vector<FakeRun> cases,
                         const std::string& more = "") {
    std::string list, claims;
    bool all = true;
    for (FakeRun& c : cases) {
      c.WriteTo(dir / "cases" / c.case_name);
      all &= c.passed;
      absl::StrAppend(&list, list.empty() ? "" : ",", "{\"name\":\"", c.case_name,
                      "\",\"passed\":", c.passed ? "true" : "false", ",\"dir\":\"cases/", c.case_name, "\"}");
      absl::StrAppend(&claims, claims.empty() ? "" : ",", c.Claims("\"case\":\"" + c.case_name + "\","));
    }
    Write(dir / "result.json",
          absl::StrCat("{\"schema\":\"orchard.result/1\",\"scenario\":\"scenarios/", cases[0].name_,
                       ".json\",\"name\":\"", cases[0].name_,
                       "\",\"says\":\"The same net, grown in several ways.\",\"seed\":1,\"passed\":",
                       all ? "true" : "false", ",\"replay\":\"orchard sim scenarios/", cases[0].name_,
                       ".json --seed 1\",\"sim_seconds\":900,\"wall_seconds\":12.5,\"cases\":[", list,
                       "],\"claims\":[", claims, "]", more, "}"));
  }

  static void Write(const std::filesystem::path& file, const std::string& text) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }

 private:
  struct Host {
    std::string id, region, nat, link;
    uint32_t ring;
    double joined;
    bool boot, down;
  };
  uint32_t Next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return uint32_t(state_ >> 33);
  }
  double Unit() { return Next() / 2147483648.0; }

  void MakeHosts() {
    hosts_.clear();
    const std::vector<std::string> few = {"eu", "us-east", "asia", "au"},
                                   eight = {"eu", "us-east", "us-west", "asia", "au", "me", "af", "sa"};
    regions_ = n_ <= 100 ? few : eight;
    if (n_ <= 12) regions_ = {"eu", "us-east"};
    regions_[0] += hostile;
    const std::vector<std::pair<const char*, double>> nats = {{"open", .12},
                                                              {"full-cone", .08},
                                                              {"restricted-cone", .07},
                                                              {"port-restricted", .40},
                                                              {"cgn", .12},
                                                              {"port-restricted+cgn", .05},
                                                              {"symmetric", .09},
                                                              {"symmetric-sequential", .03},
                                                              {"udp-blocked", .04}};
    for (size_t i = 0; i < n_; ++i) {
      Host h{.boot = i < 3, .down = false};
      double u = Unit(), v = std::pow(Unit(), 1.6);
      h.region = h.boot ? regions_[0] : regions_[size_t(v * double(regions_.size()))];
      for (const auto& [name, share] : nats) {
        h.nat = name;
        if ((u -= share) < 0) break;
      }
      if (h.boot) h.nat = "open";
      h.link = h.nat == "open"                          ? "datacenter"
               : h.nat == "cgn" || h.nat == "symmetric" ? "lte"
               : Unit() < .5                            ? "cable"
               : Unit() < .5                            ? "fiber"
                                                        : "dsl";
      h.id = absl::StrCat(h.boot ? "boot" : i % 3 ? "peer" : "home", "-", i + 1, i == 4 ? hostile : "");
      h.ring = Next() * 2;
      h.joined = h.boot ? 100 : 15000 * Unit() + 400 + 900 * Unit();
      h.down = !h.boot && Unit() < .05;
      hosts_.push_back(h);
    }
  }

  static std::string Q(const std::string& s) {
    std::string out = "\"";
    for (char c : s) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out + "\"";
  }

  std::string Claims(const std::string& more) const {
    auto claim = [&](const std::string& says, const char* verdict, const char* expected, const char* observed,
                     int from, int to, const char* subject, const char* unit, const std::string& bounds) {
      return absl::StrCat(
          "{", more, "\"says\":", Q(says), ",\"verdict\":\"", verdict, "\",\"expected\":\"", expected,
          "\",\"observed\":\"", observed, "\",\"n\":262,\"at\":", to, ",\"window\":{\"from_ms\":", from,
          ",\"to_ms\":", to, ",\"says\":\"during ", from / 1000, " s to ", to / 1000, " s\"},\"subject\":\"",
          subject, "\",\"unit\":\"", unit, "\",\"bounds\":[", bounds, "]",
          std::string(verdict) == "failed" ? ",\"why\":[\"peer-5, peer-8: no reply from any of 20 "
                                             "nodes\",\"the tables held 43 % of the far side\"]"
                                           : "",
          "}");
    };
    return absl::StrJoin(
        std::vector<std::string>{
            claim("everyone who can joins within 30 s" + hostile, "held", "p95 ≤ 8 s", "p95 3.1 s", 0, 300000,
                  "dht.bootstrap_ms", "ms",
                  R"({"stat":"p95","is":"at_most","bound":8000,"observed":3100,"margin":0.61,"held":true})"),
            claim(
                "lookups are quick", "held", "p50 ≤ 500 ms, p95 ≤ 1500 ms", "p50 212 ms, p95 640 ms", 70000,
                120000, "dht.lookup_ms", "ms",
                R"({"stat":"p50","is":"at_most","bound":500,"observed":212,"margin":0.576,"held":true},{"stat":"p95","is":"at_most","bound":1500,"observed":640,"margin":0.57,"held":true})"),
            claim("lookups find a shop before the cut", "held", "ratio ≥ 99 %", "100 %", 70000, 120000,
                  "dht.lookup.ok", "ratio",
                  R"({"stat":"ratio","is":"at_least","bound":0.99,"observed":1,"margin":1,"held":true})"),
            claim(
                "each side of the cut still serves itself", "held", "ratio ≥ 70 % in each region",
                "worst au 71 %", 120000, 180000, "dht.lookup.ok", "ratio",
                R"({"stat":"ratio","is":"at_least","bound":0.7,"observed":0.71,"margin":0.033,"held":true,"part":"au"},{"stat":"ratio","is":"at_least","bound":0.7,"observed":0.9,"margin":0.66,"held":true,"part":"eu"})"),
            claim(
                "half a minute after the cut, lookups are whole again", passed ? "held" : "failed",
                "ratio ≥ 99 %", passed ? "99.6 %" : "71.4 %", 210000, 300000, "dht.lookup.ok", "ratio",
                passed
                    ? R"({"stat":"ratio","is":"at_least","bound":0.99,"observed":0.996,"margin":0.6,"held":true})"
                    : R"({"stat":"ratio","is":"at_least","bound":0.99,"observed":0.714,"margin":-0.28,"held":false})"),
            claim("what was written on the far side is read", "held", "the same bytes on 17 hosts",
                  "17 of 17", 0, 300000, "same", "", ""),
            claim(
                "the cost is bounded", "held", "bytes_per_host ≤ 2 MiB", "0.61 MiB", 0, 300000,
                "bytes_per_host", "bytes",
                R"({"stat":"","is":"at_most","bound":2097152,"observed":640000,"margin":0.69,"held":true})")},
        ",");
  }

  std::string Result() const {
    std::string moments = absl::StrCat(
        R"({"kind":"lives","do":"start","says":"hosts start","from_ms":0,"to_ms":15000,"count":)", n_,
        R"(},{"kind":"moment","as":"grown","from_ms":16200},{"kind":"operation","do":"dht.announce","as":"shops","from_ms":40000,"to_ms":45000,"count":8},{"kind":"operation","do":"dht.put","as":"note","from_ms":60000,"count":1},{"kind":"operation","do":"dht.put","as":"page","from_ms":60000,"count":1},{"kind":"operation","do":"dht.lookup","as":"look","from_ms":70000,"to_ms":300000,"count":1288},{"kind":"operation","do":"dht.get","as":"read","from_ms":80000,"count":10},{"kind":"fault","do":"partition","as":"cut","says":)",
        Q("eu, boot | us, asia, au" + hostile),
        R"(,"from_ms":120000,"to_ms":180000},{"kind":"fault","do":"link","as":"slow line","on":"peer-2","from_ms":200000,"to_ms":212000},{"kind":"operation","do":"dht.put","as":"page2","from_ms":150000},{"kind":"operation","do":"dht.get","as":"reread","from_ms":210000,"count":18})");
    return absl::StrCat(
        "{\"schema\":\"orchard.result/1\",\"scenario\":\"scenarios/", name_, ".json\",\"name\":\"", name_,
        "\",", case_name.empty() ? "" : "\"case\":\"" + case_name + "\",", "\"says\":",
        Q("Hosts in several regions, most of them behind NATs, grow a DHT, find each other in it, and find "
          "themselves again after a partition." +
          hostile),
        ",\"seed\":", seed, ",\"passed\":", passed ? "true" : "false",
        ",\"version\":\"0.1.0\",\"host\":\"ns3\",\"fingerprint\":\"7c1e44d09a3be2f86c0f9d5577aa12a2\","
        "\"checked\":true,\"replay\":",
        Q(absl::StrCat("orchard sim scenarios/", name_, ".json --seed ", seed,
                       case_name.empty() ? "" : " --case " + case_name)),
        ",\"hosts\":", n_, ",\"duration_ms\":300000,\"sim_seconds\":300,\"wall_seconds\":", 0.08 * double(n_),
        ",\"events\":", n_ * 31234, ",\"packets\":", n_ * 12034, ",\"bytes\":", n_ * 640000,
        ",\"drops\":", n_ * 14, ",\"peak_rss_bytes\":", 90000000 + n_ * 32768,
        ",\"metrics\":{\"dht.lookup_ms\":{\"count\":1288,\"mean\":301,\"p50\":", 212 * slowness,
        ",\"p95\":", 640 * slowness, ",\"p99\":", 1100 * slowness,
        ",\"max\":2410,\"unit\":\"ms\"},\"dht.lookup.hops\":{\"count\":1288,\"mean\":2.3,\"p50\":2,\"p95\":4,"
        "\"p99\":4,\"max\":5},\"dht.bootstrap_ms\":{\"count\":57,\"mean\":900,\"p50\":",
        610 * slowness,
        ",\"p95\":3100,\"p99\":4000,\"max\":4410,\"unit\":\"ms\"}},\"assumed\":[{\"says\":\"NATs and links "
        "are drawn from the mix internet-2026\",\"source\":\"shares of peers by NAT class; judgement inside "
        "the published bands\",\"drawn\":[",
        DrawnShares(),
        "]},{\"says\":\"Every access link has a queue of 100 ms\"},{\"says\":\"Homes draw cable 50 %, fiber "
        "25 %, dsl 25 %\"}],\"moments\":[",
        moments, "],\"claims\":[", Claims(""),
        "],\"fails_when\":[{\"says\":\"the cut never heals\",\"claim\":\"half a minute after the cut, "
        "lookups are whole again\",\"set\":{\"timeline.cut.for\":\"3min\"},\"proved\":true},{\"says\":\"the "
        "core of the net is slow\",\"claim\":\"lookups are "
        "quick\",\"set\":{\"world.latency\":\"400ms\"}}],\"notes\":[\"wall_seconds is shown and gates only "
        "with --strict\"]}");
  }

  std::string DrawnShares() const {
    std::map<std::string, size_t> count;
    for (const Host& h : hosts_) ++count[h.nat];
    std::vector<std::string> out;
    for (const auto& [nat, c] : count)
      out.push_back(absl::StrCat("{\"name\":", Q(nat), ",\"count\":", c,
                                 ",\"share\":", double(c) / double(n_),
                                 ",\"expected\":", nat == "port-restricted" ? 0.4 : 0.1, "}"));
    return absl::StrJoin(out, ",");
  }

  std::string Topology() {
    std::vector<std::string> hosts, edges, flows, regions, paths, nats;
    std::map<std::string, size_t> by_region, by_nat;
    char hex[16];
    for (const Host& h : hosts_) {
      ++by_region[h.region];
      ++by_nat[h.nat];
      std::snprintf(hex, sizeof hex, "%08x", h.ring);
      hosts.push_back(absl::StrCat(
          "{\"id\":", Q(h.id), ",\"region\":", Q(h.region), ",\"nat\":", Q(h.nat), ",\"link\":\"", h.link,
          "\",\"ring\":\"", hex, "\"", h.boot ? ",\"bootstrap\":true" : "", h.down ? ",\"up\":false" : "",
          n_ <= 1000 ? absl::StrCat(",\"spans\":[[", h.joined, ",", h.down ? "240000" : "null", "]]") : "",
          h.nat == "cgn" ? ",\"boxes\":[\"telco\"]" : "", "}"));
    }
    for (const auto& [r, c] : by_region)
      regions.push_back(absl::StrCat("{\"id\":", Q(r), ",\"hosts\":", c, "}"));
    for (size_t a = 0; a < regions_.size(); ++a) {
      for (size_t b = a + 1; b < regions_.size(); ++b)
        paths.push_back(absl::StrCat("{\"a\":", Q(regions_[a]), ",\"b\":", Q(regions_[b]),
                                     ",\"delay_ms\":", 35 + 17 * ((a * 5 + b * 3) % 7), "}"));
    }
    const std::map<std::string, std::string> chains = {{"open", ""},
                                                       {"full-cone", "EI EI preserve 120000"},
                                                       {"restricted-cone", "EI AD preserve 120000"},
                                                       {"port-restricted", "EI AP preserve 120000"},
                                                       {"cgn", "EI AP block 60000"},
                                                       {"symmetric", "AP AP random 60000"},
                                                       {"symmetric-sequential", "AP AP sequential 60000"},
                                                       {"udp-blocked", "block block preserve 0"}};
    auto box = [&](const std::string& preset) {
      std::string w = chains.at(preset), words[4];
      size_t at = 0;
      for (std::string& word : words) {
        size_t end = w.find(' ', at);
        word = w.substr(at, end - at);
        at = end == std::string::npos ? w.size() : end + 1;
      }
      return absl::StrCat("{\"preset\":\"", preset, "\",\"mapping\":\"", words[0], "\",\"filtering\":\"",
                          words[1], "\",\"ports\":\"", words[2], "\",\"idle_ms\":", words[3], "}");
    };
    for (const auto& [label, c] : by_nat) {
      std::string chain = label == "open"                  ? ""
                          : label == "port-restricted+cgn" ? box("port-restricted") + "," + box("cgn")
                                                           : box(label);
      nats.push_back(absl::StrCat("{\"label\":", Q(label), ",\"hosts\":", c, ",\"chain\":[", chain,
                                  "],\"mappings\":", c * 41, ",\"filtered\":", c * 17, ",\"refused\":0}"));
    }
    // Who answered whom: near ids know each other, and everyone some far ones.
    if (n_ <= 1000) {
      for (size_t a = 0; a < n_; ++a) {
        for (size_t k = 1; k <= std::min<size_t>(n_ > 100 ? 4 : 9, n_ - 1); ++k) {
          size_t b = (a + k * k * 3 + Next() % 3) % n_;
          if (a != b)
            edges.push_back(absl::StrCat(
                "{\"a\":", a, ",\"b\":", b, ",\"kind\":\"dht\",\"count\":", 1 + Next() % 40,
                ",\"p50_ms\":", 20 + Next() % 200,
                ",\"first_ms\":", std::max(hosts_[a].joined, hosts_[b].joined) + Next() % 9000, "}"));
        }
      }
      const char* kinds[] = {"punched", "relayed", "direct", "failed"};
      for (size_t k = 0; connections && k < std::min<size_t>(n_ / 2, 30); ++k) {
        edges.push_back(absl::StrCat("{\"a\":", 3 + k % (n_ - 3), ",\"b\":", 3 + (k + 2 + k % 3) % (n_ - 3),
                                     ",\"kind\":\"", kinds[k % 4], "\",\"count\":1,\"p50_ms\":", 80 + k * 9,
                                     ",\"first_ms\":", 30000 + k * 1000, ",\"claim\":2",
                                     k % 4 == 1 ? ",\"relay\":1" : "", "}"));
      }
    }
    for (const auto& [ra, ca] : by_region) {
      for (const auto& [rb, cb] : by_region) {
        for (const char* na : {"open", "port-restricted", "cgn"}) {
          for (const char* nb : {"open", "port-restricted", "symmetric"}) {
            size_t count = ca * cb * (na[0] == 'p' ? 4 : 1) / 2 + 1;
            flows.push_back(
                absl::StrCat("{\"a\":{\"region\":", Q(ra), ",\"nat\":\"", na, "\"},\"b\":{\"region\":", Q(rb),
                             ",\"nat\":\"", nb, "\"},\"kind\":\"dht\",\"count\":", count,
                             ",\"ok\":", count * 97 / 100, ",\"p50_ms\":", 40 + Next() % 200, "}"));
          }
        }
      }
    }
    std::vector<size_t> ring(256), stored(256), degree(90);
    for (const Host& h : hosts_) {
      ++ring[h.ring >> 24];
      stored[h.ring >> 24] += Next() % 4 == 0;
      size_t known = std::min<size_t>(n_ - 1, 30 + size_t(30 * (Unit() + Unit())));
      ++degree[std::min<size_t>(known, 89)];
    }
    std::vector<std::string> records;
    for (const char* what : {"apples", "note", "page"}) {
      uint32_t key = Next() * 2;
      std::vector<size_t> near(n_);
      for (size_t i = 0; i < n_; ++i) near[i] = i;
      std::sort(near.begin(), near.end(),
                [&](size_t a, size_t b) { return (hosts_[a].ring ^ key) < (hosts_[b].ring ^ key); });
      near.resize(std::min<size_t>(n_, 20));
      std::snprintf(hex, sizeof hex, "%08x", key);
      records.push_back(absl::StrCat("{\"says\":\"", what, "\",\"kind\":\"immutable\",\"key\":\"", hex,
                                     "\",\"holders\":[", absl::StrJoin(near, ","), "]}"));
    }
    std::vector<std::string> worst;
    for (size_t i = 5; i < n_ && worst.size() < 20; i += std::max<size_t>(1, n_ / 25))
      worst.push_back(absl::StrCat("{\"host\":", Q(hosts_[i].id), ",\"says\":\"", 11 - worst.size() / 2,
                                   " of 23 lookups failed\"}"));
    return absl::StrCat(
        "{\"schema\":\"orchard.topology/1\",\"hosts\":[", absl::StrJoin(hosts, ","), "],\"regions\":[",
        absl::StrJoin(regions, ","), "],\"paths\":[", absl::StrJoin(paths, ","), "],\"nats\":[",
        absl::StrJoin(nats, ","),
        "],\"boxes\":[{\"name\":\"telco\",\"label\":\"cgn\",\"members\":", by_nat["cgn"],
        ",\"preset\":\"cgn\",\"mapping\":\"EI\",\"filtering\":\"AP\",\"ports\":\"block\",\"idle_ms\":60000}],"
        "\"links\":[{\"name\":\"datacenter\",\"down_bps\":1e9,\"up_bps\":1e9,\"delay_ms\":0.2,\"queue_ms\":"
        "100,\"hosts\":9},{\"name\":\"cable\",\"down_bps\":1e8,\"up_bps\":2e7,\"delay_ms\":8,\"queue_ms\":"
        "100,\"hosts\":20},{\"name\":\"dsl\",\"down_bps\":5e7,\"up_bps\":1e7,\"delay_ms\":15,\"queue_ms\":"
        "100},{\"name\":\"fiber\",\"down_bps\":3e8,\"up_bps\":3e8,\"delay_ms\":2},{\"name\":\"lte\",\"down_"
        "bps\":4e7,\"up_bps\":1e7,\"delay_ms\":25}],\"edges\":[",
        absl::StrJoin(edges, ","), "],\"flows\":[", absl::StrJoin(flows, ","), "],\"worst\":[",
        absl::StrJoin(worst, ","),
        "],\"degree\":{\"of\":\"dht.table.nodes\",\"from\":0,\"width\":1,\"counts\":[",
        absl::StrJoin(degree, ","), "]},\"ring\":{\"nodes\":[", absl::StrJoin(ring, ","), "],\"stored\":[",
        absl::StrJoin(stored, ","), "]},\"records\":[", absl::StrJoin(records, ","), "]", connections ? Connections() : "", "}");
  }

  // A pair that was punched and lost, one dialled anew each second, one that never came about; two callers of host 0.
  static std::string Connections() {
    return R"(,"connections":[
      {"a":3,"b":5,"path":"none","changes":[],"made":0,"dials":4,"failed":4,"attempts":9,"probes":312,"a_seen":"random","b_seen":"consistent",
       "waited":{"by":5,"from_ms":25000,"at_ms":45000,"step":"probe","code":"HOLEPUNCH_ABORTED"}},
      {"a":4,"b":6,"path":"none","last":"punched","changes":[[30000,"relayed"],[42000,"punched"],[200000,"none"]],"made":1,"dials":1,"failed":0,"probes":12,"p50_ms":812,"closed":"ETIMEDOUT"},
      {"a":4,"b":7,"path":"direct or punched","last":"direct","changes":[[60000,"direct"]],"step_ms":1500,"made":240,"dials":241,"failed":1,"probes":0,"p50_ms":90},
      {"a":999999,"b":7,"path":"lan","changes":[],"made":0,"dials":1,"failed":1}],
      "reach":[{"as":"ring","to":"boot-1","rows":[{"host":4,"calls":240,"from_ms":60000,"dark":[[120000,128500],[220000,224000]],"dark_ms":12500},
                                                  {"host":5,"calls":240,"from_ms":60000,"dark":[],"dark_ms":0}]}],
      "nat_pairs":[{"a":"open","b":"cgn","n":50,"ok":50,"paths":{"direct":50},"p50_ms":300},{"a":"cgn","b":"cgn","n":40,"ok":28,"paths":{"punched":28}},
                   {"a":"symmetric","b":"symmetric","n":9,"ok":0,"paths":{}}],
      "connect_errors":[{"error":"HOLEPUNCH_DOUBLE_RANDOMIZED_NATS","count":9},{"error":"PEER_NOT_FOUND","count":3}])";
  }

  // Deaths fall on slots by chance, mostly on the first sites; the writer's order: sites and deaths by how long they lasted.
  std::string Cages() {
    struct Death { double at, dark; size_t site, slot; std::string json; };
    const char* causes[] = {"panic", "memory", "timeout", "engine"};
    std::vector<Death> deaths;
    for (size_t i = 0; i < cage_deaths; ++i) {
      const size_t site = size_t(double(cage_sites) * Unit() * Unit()), slot = Next() % cage_slots, cause = Next() % 4;
      const double at = 5000 + 290'000 * Unit(), detect = cause == 2 ? 1000.1 : cause == 3 ? 0.1 : 0, backoff = Next() % 3 ? 0 : 1000 << (Next() % 4), dark = detect + backoff + 0.902;
      deaths.push_back({at, dark, site, slot, absl::StrCat(
          "{\"host\":\"web\",\"site\":", Q(SiteName(site)), ",\"slot\":", slot, ",\"cage\":", 100 + i, ",\"cause\":\"", causes[cause], "\",\"at_ms\":", at + detect, ",\"wrong_ms\":", at,
          ",\"end\":\"healed\",\"ended_ms\":", at + dark, ",\"dark_ms\":", dark, ",\"detect_ms\":", detect, ",\"backoff_ms\":", backoff, ",\"spawn_ms\":0.8,\"answer_ms\":0.102,\"retried\":", i % 5,
          ",\"failed\":", i % 7 == 0, "}")});
    }
    std::vector<std::string> sites, lanes, told, sums;
    std::vector<std::pair<double, size_t>> order;
    for (size_t s = 0; s < cage_sites; ++s) {
      double dark = 0;
      for (const Death& d : deaths) dark += d.site == s ? d.dark : 0;
      order.emplace_back(-dark, s);
    }
    std::sort(order.begin(), order.end());
    for (const auto& [dark, s] : order) {
      size_t of_site = 0;
      for (size_t slot = 0; slot < cage_slots; ++slot) {
        std::vector<std::pair<double, double>> own;
        for (const Death& d : deaths) if (d.site == s && d.slot == slot) own.emplace_back(d.at, d.at + d.dark);
        std::sort(own.begin(), own.end());
        of_site += own.size();
        std::string changes = "[20,\"INIT\"],[20.9,\"RUN\"]";
        double last = 21;
        for (const auto& [from, to] : own) {
          if (from <= last) continue;
          absl::StrAppend(&changes, ",[", from, ",\"CRASH\"],[", to - 0.902, ",\"INIT\"],[", to, ",\"RUN\"]");
          last = to;
        }
        lanes.push_back(absl::StrCat("{\"host\":\"web\",\"site\":", Q(SiteName(s)), ",\"slot\":", slot, ",\"cages\":", 1 + own.size(), ",\"deaths\":", own.size(),
                                     ",\"dark_ms\":0,\"answered\":9000,\"failed\":0,\"changes\":[", changes, "]}"));
      }
      sites.push_back(absl::StrCat("{\"host\":\"web\",\"site\":", Q(SiteName(s)), ",\"slots\":", cage_slots, ",\"deaths\":", of_site, ",\"dark_ms\":", -dark, ",\"answered\":27000,\"failed\":", of_site / 7, "}"));
    }
    std::stable_sort(deaths.begin(), deaths.end(), [](const Death& a, const Death& b) { return a.dark > b.dark; });
    for (const Death& d : deaths) told.push_back(d.json);
    if (told.size() > 1000) told.resize(1000);
    for (const char* cause : causes) {
      sums.push_back(absl::StrCat("{\"cause\":\"", cause, "\",\"deaths\":", cage_deaths / 4, ",\"healed\":", cage_deaths / 4, ",\"heal_p50_ms\":1000.902,\"heal_p95_ms\":4000.902,\"heal_max_ms\":9001,"
                                  "\"detect_p50_ms\":0.1,\"backoff_p50_ms\":1000,\"spawn_p50_ms\":0.8,\"answer_p50_ms\":0.102}"));
    }
    return absl::StrCat("{\"schema\":\"orchard.cages/1\",\"end_ms\":300000,\"sites_all\":", cage_sites, ",\"lanes_all\":", cage_sites * cage_slots, ",\"deaths_all\":", cage_deaths, ",\"sites\":[", absl::StrJoin(sites, ","),
                        "],\"lanes\":[", absl::StrJoin(lanes, ","), "],\"causes\":[", absl::StrJoin(sums, ","), "],\"deaths\":[", absl::StrJoin(told, ","), "]}");
  }
  std::string SiteName(size_t s) const { return absl::StrCat("shop-", s + 1, ".example", s == 0 ? hostile : ""); }

  template <class F>
  static std::string Line(const std::string& name, const std::string& labels, const std::string& kind,
                          const std::string& unit, F f, size_t from = 0) {
    std::vector<std::string> v;
    for (size_t i = from; i < 300; ++i) v.push_back(absl::StrCat(std::round(f(double(i)) * 1000) / 1000));
    return absl::StrCat("{\"name\":\"", name, "\",\"labels\":{", labels, "},\"kind\":\"", kind,
                        "\",\"unit\":\"", unit, "\",\"from_ms\":", from * 1000,
                        ",\"step_ms\":1000,\"values\":[", absl::StrJoin(v, ","), "]}");
  }

  std::string Series() {
    double n = double(n_);
    auto wobble = [this] { return 0.9 + 0.2 * Unit(); };
    auto cut = [](double t) { return t >= 120 && t < 185; };
    std::vector<std::string> series = {
        Line("dht.bootstrapped", "", "total", "",
             [&](double t) {
               return double(std::count_if(hosts_.begin(), hosts_.end(), [&](const Host& h) {
                 return h.nat != "udp-blocked" && h.joined + 800 < t * 1000;
               }));
             }),
        Line("hosts.up", "", "gauge", "",
             [&](double t) {
               return double(std::count_if(hosts_.begin(), hosts_.end(), [&](const Host& h) {
                 return h.joined < t * 1000 && !(h.down && t > 240);
               }));
             }),
        Line("dht.table.live", "", "gauge", "",
             [&](double t) {
               return (cut(t) ? 24 + 16 * std::exp(-(t - 120) / 15) : 40 * (1 - std::exp(-t / 10))) *
                      std::min(1.0, n / 50);
             }),
        Line("dht.table.dead", "", "gauge", "",
             [&](double t) { return cut(t) ? 9 * std::exp(-(t - 120) / 25) : 0.8; }),
        Line(
            "dht.lookup.ok", "", "gauge", "ratio",
            [&](double t) {
              return cut(t) ? 0.75 + 0.1 * Unit() : passed || t < 180 ? 1 - 0.01 * Unit() : 0.7;
            },
            70),
        Line("net.packets", "", "rate", "", [&](double t) { return n * (t < 20 ? 40 : 14) * wobble(); }),
        Line("link.drops", "\"why\":\"partition\"", "rate", "",
             [&](double t) { return cut(t) ? n * 3 * wobble() : 0; }),
        Line("link.drops", "\"why\":\"nat-filter\"", "rate", "", [&](double) { return n * 0.4 * wobble(); }),
        Line("link.drops", "\"why\":\"loss\"", "rate", "", [&](double) { return n * 0.02 * wobble(); })};
    const std::pair<const char*, double> types[] = {{"FIND_NODE", 6}, {"PING", 2.2},
                                                    {"LOOKUP", 3},    {"ANNOUNCE", .3},
                                                    {"PING_NAT", .5}, {"IMMUTABLE_GET", .4}};
    for (const auto& [type, share] : types) {
      series.push_back(Line(
          "dht.requests", absl::StrCat("\"type\":\"", type, "\""), "rate", "", [&, type = type, share = share](double t) {
            return n * share * (t < 18 ? 2.5 : type[0] == 'L' && t < 70 ? 0.01 : 1) * wobble();
          }));
    }
    if (cage_sites > 0) {
      series.push_back(Line("cage.requests", "\"outcome\":\"answered\"", "rate", "", [&](double) { return 900 * wobble(); }));
      series.push_back(Line("cage.requests", "\"outcome\":\"5xx\"", "rate", "", [&](double t) { return t >= 120 && t < 140 ? 60 : 0; }));
      for (const auto& [figure, ms] : {std::pair("p50", 34.0), {"p99", 70.0}, {"max", 90.0}})
        series.push_back(Line("http.get.by_start_ms", absl::StrCat("\"figure\":\"", figure, "\""), "gauge", "ms", [&, ms = ms](double t) { return cut(t) ? ms * 20 : ms; }));
    }
    std::vector<std::string> samples;
    auto quantiles = [&](const std::string& name, const std::string& labels, double median) {
      std::vector<std::string> q;
      for (int i = 0; i <= 100; ++i)
        q.push_back(absl::StrCat(
            std::round(slowness * median * std::exp(0.55 * std::log((i + 1.0) / (102.0 - i))) * 10) / 10));
      samples.push_back(absl::StrCat("{\"name\":\"", name, "\",\"labels\":{", labels,
                                     "},\"unit\":\"ms\",\"count\":320,\"quantiles\":[", absl::StrJoin(q, ","),
                                     "]}"));
    };
    quantiles("dht.lookup_ms", "", 212);
    double m = 110;
    for (const std::string& r : regions_)
      quantiles("dht.lookup_ms", absl::StrCat("\"region\":", Q(r)), m += 55);
    quantiles("dht.bootstrap_ms", "", 610);
    std::string claims = absl::StrCat(
        "{\"claim\":1,\"stat\":\"p50\",\"unit\":\"ms\",\"from_ms\":70000,\"step_ms\":5000,\"values\":[210,"
        "190,230,222,205,215,199,240,180,212]},{\"claim\":3,\"stat\":\"ratio\",\"unit\":\"ratio\",\"from_"
        "ms\":120000,\"step_ms\":10000,\"values\":[0.75,0.72,0.8,0.78,0.81,0.8]},{\"claim\":4,\"stat\":"
        "\"ratio\",\"unit\":\"ratio\",\"from_ms\":210000,\"step_ms\":10000,\"values\":[",
        passed ? "0.98,1,1,0.99,1,1,1,1,1" : "0.71,0.7,0.72,0.71,0.7,0.72,0.74,0.7,0.71", "]}");
    return absl::StrCat("{\"schema\":\"orchard.series/1\",\"series\":[", absl::StrJoin(series, ","),
                        "],\"samples\":[", absl::StrJoin(samples, ","),
                        "],\"histograms\":[{\"name\":\"dht.lookup.hops\",\"labels\":{},\"from\":0,\"width\":"
                        "1,\"counts\":[12,201,640,380,50,5]}],\"claims\":[",
                        claims, "]}");
  }

  size_t n_;
  std::string name_;
  uint64_t state_ = 0;
  std::vector<Host> hosts_;
  std::vector<std::string> regions_;
};

}  // namespace orchard::reports
