// What a report promises: one file, no outside, bounded size, hostile names stay text, and odd input is
// named.

#include "reports/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <sstream>

#include "reports/graphviz.h"
#include "reports/run_directory.h"
#include "tests/reports/fake_run.h"

namespace orchard::reports {
namespace {

namespace fs = std::filesystem;
const fs::path kOut = fs::path(ORCHARD_BINARY_DIR) / "report-samples";

std::string Read(const fs::path& p) {
  std::ifstream in(p, std::ios::binary);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

fs::path Fresh(const std::string& name) {
  fs::remove_all(kOut / name);
  fs::create_directories(kOut / name);
  return kOut / name;
}

std::string Report(const std::vector<std::string>& dirs, const fs::path& out) {
  absl::Status s = WriteReport(dirs, out);
  EXPECT_TRUE(s.ok()) << s;
  return Read(out);
}

// A reader that knows only what this page uses: every tag that opens closes, in order; attributes are quoted.
testing::AssertionResult WellFormed(const std::string& xml) {
  std::vector<std::string> open;
  const std::regex tag(R"(^<(/?)([A-Za-z][\w:.-]*)((?:\s+[\w:.-]+="[^"<]*")*)\s*(/?)>)");
  for (size_t at = 0; at < xml.size();) {
    if (xml[at] == '&') {
      std::smatch m;
      std::string rest = xml.substr(at, 12);
      if (!std::regex_search(rest, m, std::regex("^&(amp|lt|gt|quot|apos|#[0-9]+|#x[0-9a-fA-F]+|nbsp);")))
        return testing::AssertionFailure() << "a bare & at " << at << ": " << rest;
    }
    if (xml[at] != '<') {
      ++at;
      continue;
    }
    std::smatch m;
    std::string rest = xml.substr(at, std::min<size_t>(xml.size() - at, xml.find('>', at) - at + 1));
    if (!std::regex_search(rest, m, tag))
      return testing::AssertionFailure() << "not a tag at " << at << ": " << rest.substr(0, 80);
    if (m[1].length() > 0) {
      if (open.empty() || open.back() != m[2])
        return testing::AssertionFailure()
               << "</" << m[2] << "> closes " << (open.empty() ? "nothing" : open.back());
      open.pop_back();
    } else if (m[4].length() == 0) {
      open.push_back(m[2]);
    }
    at += rest.size();
  }
  if (!open.empty()) return testing::AssertionFailure() << "<" << open.back() << "> stays open";
  return testing::AssertionSuccess();
}

void ExpectNoOutside(const std::string& page) {
  std::string rest = std::regex_replace(page, std::regex("http://www\\.w3\\.org/2000/svg"), "");
  EXPECT_FALSE(std::regex_search(rest, std::regex("https?://|//[a-z]+\\.[a-z]")))
      << "an address outside the file";
  EXPECT_FALSE(std::regex_search(
      rest, std::regex("(src|href)\\s*=|@import|url\\(|<link|<img|<iframe", std::regex::icase)))
      << "something to fetch";
}

// What a reader sees, by running the page's own program (page_check.js).
std::string TextOf(const fs::path& page) {
  absl::StatusOr<std::string> text =
      RunGraphviz({"node", std::string(ORCHARD_SOURCE_DIR) + "/tests/reports/page_check.js", page.string()},
                  "", std::chrono::seconds(60));
  EXPECT_TRUE(text.ok()) << text.status();
  return text.ok() ? *text : "";
}

TEST(ReportTest, TenHostsAreDrawnBoxByBox) {
  fs::path dir = Fresh("ten");
  FakeRun run(10);
  run.connections = true;
  run.WriteTo(dir);
  std::string page = Report({dir}, dir / "report.html"), svg = Read(dir / "topology.svg"),
              dot = Read(dir / "topology.dot");
  EXPECT_TRUE(WellFormed(svg));
  ExpectNoOutside(page);
  ExpectNoOutside(svg);
  EXPECT_NE(dot.find("rankdir=LR"), std::string::npos);
  EXPECT_NE(dot.find("EI/AP"), std::string::npos) << "a box says its axes";
  EXPECT_NE(dot.find("Mbps"), std::string::npos) << "a link says its rate";
  for (int i = 0; i < 10; ++i)
    EXPECT_NE(svg.find("id=\"h" + std::to_string(i) + "\""), std::string::npos)
        << "host " << i << " is missing";
  EXPECT_NE(dot.find("-- h1 ["), std::string::npos) << "a relayed path goes through its relay, boot-2";
  EXPECT_NE(svg.find("relayed through boot-2"), std::string::npos);
  EXPECT_NE(svg.find("<title>boot-1 · open · eu"), std::string::npos) << "hover gives id and NAT";
}

TEST(ReportTest, SixtyHostsAreNamedAndJoinedWithThoseTheySpokeToMost) {
  fs::path dir = Fresh("sixty");
  FakeRun(60).WriteTo(dir);
  std::string page = Report({dir}, dir / "report.html"), svg = Read(dir / "topology.svg");
  EXPECT_TRUE(WellFormed(svg));
  ExpectNoOutside(page);
  EXPECT_NE(svg.find(">boot&#45;1</text>"), std::string::npos);
  EXPECT_NE(svg.find("path dht"), std::string::npos);
}

TEST(ReportTest, FiveHundredHostsStandInTheirRegions) {
  fs::path dir = Fresh("hundreds");
  FakeRun run(500, "churn");
  run.passed = false;
  run.connections = true;
  run.WriteTo(dir);
  std::string page = Report({dir}, dir / "report.html"), svg = Read(dir / "topology.svg");
  EXPECT_TRUE(WellFormed(svg));
  ExpectNoOutside(page);
  EXPECT_LE(svg.size(), 1'000'000u);
  EXPECT_LE(page.size(), 2'000'000u);
  const std::string host = "class=\"node host";
  size_t hosts = 0;
  for (size_t at = svg.find(host); at != std::string::npos; at = svg.find(host, at + 1)) ++hosts;
  EXPECT_EQ(hosts, 500u);
  EXPECT_NE(svg.find("path failed"), std::string::npos) << "what failed is drawn at any size";
  EXPECT_EQ(svg.find("path dht"), std::string::npos) << "at this size nobody can follow the DHT's edges";
}

TEST(ReportTest, TenThousandHostsAreNeverDrawnOneByOne) {
  fs::path dir = Fresh("many");
  FakeRun run(10'000, "lookup-scale");
  run.WriteTo(dir);
  auto start = std::chrono::steady_clock::now();
  std::string page = Report({dir}, dir / "report.html"), svg = Read(dir / "topology.svg");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  EXPECT_TRUE(WellFormed(svg));
  EXPECT_LE(svg.size(), 200'000u);
  EXPECT_LE(page.size(), 1'000'000u);
  EXPECT_NE(svg.find("class=\"node mass"), std::string::npos);
  EXPECT_EQ(page.find("\"peer-7778\""), std::string::npos)
      << "the page has a host that only topology.json needs";
  EXPECT_NE(svg.find("lookups failed"), std::string::npos) << "the worst hosts stand beside it";
}

TEST(ReportTest, AHostileNameStaysText) {
  fs::path dir = Fresh("hostile");
  FakeRun run(60);
  run.hostile = "</script><img src=x onerror=alert(1)>\"'`&amp;<!--\xE2\x80\xA8]]>\\";
  run.WriteTo(dir);
  std::string page = Report({dir}, dir / "report.html"), svg = Read(dir / "topology.svg");
  EXPECT_TRUE(WellFormed(svg));
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_EQ(page.find("onerror=alert(1)>"), std::string::npos);
  // Each <script> that ends is one that we opened: the data and the program.
  size_t ends = 0;
  for (size_t at = page.find("</script"); at != std::string::npos; at = page.find("</script", at + 1)) ++ends;
  EXPECT_EQ(ends, 2u);
  EXPECT_NE(page.find("\\u003c/script\\u003e"), std::string::npos) << "the name is there, as data";
  EXPECT_NE(page.find("script-src 'sha256-"), std::string::npos) << "and no other script may run";
  FakeRun few(10);
  few.hostile = run.hostile;
  few.WriteTo(dir / "few");
  Report({dir / "few"}, dir / "few" / "report.html");
  EXPECT_TRUE(WellFormed(Read(dir / "few" / "topology.svg")));
  FakeRun many(1200);
  many.hostile = run.hostile;
  many.WriteTo(dir / "many");
  Report({dir / "many"}, dir / "many" / "report.html");
  EXPECT_TRUE(WellFormed(Read(dir / "many" / "topology.svg")));
}

TEST(ReportTest, WithoutGraphvizTheTablesAndTheDotFileRemain) {
  fs::path dir = Fresh("bare");
  FakeRun(60).WriteTo(dir);
  std::string path = std::getenv("PATH") == nullptr ? "" : std::getenv("PATH");
  setenv("PATH", "/nonexistent", 1);
  std::string page = Report({dir}, dir / "report.html");
  setenv("PATH", path.c_str(), 1);
  EXPECT_NE(page.find("sfdp is not installed"), std::string::npos);
  EXPECT_FALSE(fs::exists(dir / "topology.svg"));
  EXPECT_NE(Read(dir / "topology.dot").find("graph orchard"), std::string::npos);
  EXPECT_NE(page.find("lookups are quick"), std::string::npos);
}

TEST(ReportTest, SeveralDirectoriesStandSideBySide) {
  fs::path dir = Fresh("several");
  FakeRun a(40), b(60), js(40, "churn");
  b.passed = false;
  b.seed = 17;
  b.slowness = 1.7;
  js.case_name = "js";
  FakeRun ours = js;
  ours.case_name = "ours";
  js.passed = false;
  a.WriteTo(dir / "first-light-1");
  b.WriteTo(dir / "first-light-17");
  FakeRun::WriteCases(dir / "churn-1", {ours, js});
  std::string page =
      Report({dir / "first-light-1", dir / "first-light-17", dir / "churn-1"}, dir / "report.html");
  ExpectNoOutside(page);
  for (const char* there : {"first-light-1", "first-light-17", "cases/ours", "cases/js", "3 runs"})
    EXPECT_NE(page.find(there), std::string::npos) << there;
  EXPECT_NE(page.find("drawing-3"), std::string::npos) << "each part has its drawing";
}

TEST(ReportTest, AMatrixOfManyCasesIsATableAndDrawsADozen) {
  fs::path dir = Fresh("matrix");
  std::vector<FakeRun> cases;
  std::string cells;
  const std::vector<std::string> nats = {"ei-ei", "ei-ap", "ap-ei", "ap-ap"};
  for (size_t r = 0; r < 4; ++r) {
    absl::StrAppend(&cells, r ? "],[" : "[");
    for (size_t c = 0; c < 4; ++c) {
      FakeRun run(6, "matrix");
      run.case_name = nats[r] + "|" + nats[c];
      run.passed = !(r == 1 && c == 2);
      bool relayed = r > 1 && c > 1;
      absl::StrAppend(&cells, c ? "," : "", "{\"case\":\"", run.case_name, "\",\"expected\":\"",
                      relayed ? "R" : "P", "\",\"seen\":\"", run.passed ? (relayed ? "R" : "P") : "N",
                      "\",\"p50_ms\":", 300 + 90 * r + 40 * c, ",\"passed\":", run.passed ? "true" : "false",
                      "}");
      cases.push_back(run);
    }
  }
  FakeRun::WriteCases(
      dir, cases,
      R"(,"matrix":{"rows":{"path":"hosts.a.nat","values":["ei-ei","ei-ap","ap-ei","ap-ap"]},"columns":{"path":"hosts.b.nat","values":["ei-ei","ei-ap","ap-ei","ap-ap"]},"key":{"P":"punched","R":"relayed","N":"none"},"cells":[)" +
          cells + "]]}");
  std::string page = Report({dir}, dir / "report.html");
  size_t drawings = 0;
  for (size_t at = page.find("<template"); at != std::string::npos; at = page.find("<template", at + 1))
    ++drawings;
  EXPECT_EQ(drawings, kPartsDrawnMax);
  EXPECT_NE(page.find("<template id=\"drawing-6\">"), std::string::npos)
      << "the failed cell is among those drawn";
}

TEST(ReportPageTest, TheProgramShowsWhatIsOwed) {
  fs::path dir = Fresh("page");
  FakeRun run(60);
  run.passed = false;
  run.connections = true;
  run.WriteTo(dir);
  Report({dir}, dir / "report.html");
  std::string text = TextOf(dir / "report.html");
  for (const char* there : {"6 of 7 claims held",
                            "half a minute after the cut, lookups are whole again",
                            "failed",
                            "at 5:00",
                            "71.4 %",
                            "lookups are quick",
                            "p95 ≤ 1500 ms",
                            "57 %",
                            "partition “cut”",
                            "The network",
                            "60 hosts in 4 regions",
                            "Who answered whom",
                            "Growing",
                            "How long a lookup takes",
                            "Hops of a lookup",
                            "Requests by type",
                            "FIND_NODE",
                            "Health of the routing tables",
                            "Records on the ring",
                            "What was assumed",
                            "internet-2026",
                            "What makes it fail",
                            "✓ proved",
                            "the cut never heals",
                            "orchard sim scenarios/first-light.json --seed 1",
                            "7c1e44d09a3be2f8"}) {
    EXPECT_NE(text.find(there), std::string::npos) << there;
  }
}

TEST(ReportPageTest, TheProgramRunsOnEverySizeAndShape) {
  fs::path dir = Fresh("pages");
  for (size_t hosts : {size_t{1}, size_t{10}, size_t{500}, size_t{1200}}) {
    fs::path one = dir / std::to_string(hosts);
    FakeRun(hosts).WriteTo(one);
    Report({one}, one / "report.html");
    EXPECT_NE(TextOf(one / "report.html").find("claims held"), std::string::npos) << hosts;
  }
  FakeRun a(10), b(12, "churn");
  a.hostile = b.hostile = "</script><img src=x onerror=alert(1)>";
  a.case_name = "x|y", b.case_name = "x|z";
  FakeRun c = a, d = b;
  c.case_name = "w|y", d.case_name = "w|z";
  FakeRun::WriteCases(dir / "cases", {a, b, c, d});
  Report({dir / "cases", dir / "10"}, dir / "both.html");
  std::string text = TextOf(dir / "both.html");
  EXPECT_NE(text.find("4 of 4 cells as expected"), std::string::npos)
      << "cases named row|column are a matrix";
  EXPECT_NE(text.find("Claims, side by side"), std::string::npos);
  EXPECT_NE(text.find("<img src=x onerror=alert(1)>"), std::string::npos)
      << "a hostile name is shown, as text";
}

TEST(ReportPageTest, ConnectionsAreToldPairByPair) {
  fs::path dir = Fresh("connections");
  for (size_t hosts : {size_t{10}, size_t{1200}}) {  // Beyond a thousand hosts are not in the page; pairs are, by name.
    fs::path one = dir / std::to_string(hosts);
    FakeRun run(hosts);
    run.connections = true;
    run.WriteTo(one);
    Report({one}, one / "report.html");
    std::string text = TextOf(one / "report.html");
    for (const char* there : {"Connections, pair by pair",
                              "home-4 – peer-6",              // Never came about: who waited in which step.
                              "peer-6 waited in",
                              "probe",
                              "HOLEPUNCH_ABORTED",
                              "seen as random",
                              "peer-5 – home-7",              // Was punched, then lost.
                              "relayed 30 s, punched 42 s, none 3:20",
                              "not connected at the end",
                              "closed: ETIMEDOUT",
                              "240 of 241",
                              "in steps of 1.5 s",
                              "Can boot-1 be reached?",
                              "dark 12.5 s",
                              "never dark",
                              "Dials by the NATs of both sides",
                              "70 %",
                              "n 40",
                              "55–82",                        // Wilson's interval of 28 in 40.
                              "0–30",                         // And of none in 9.
                              "78 of 99",
                              "Why dials failed",
                              "75 %"})
      EXPECT_NE(text.find(there), std::string::npos) << there << " with " << hosts << " hosts";
  }
  std::string dot = Read(dir / "10" / "topology.dot");
  for (const char* style : {"style=bold", "style=dashed", "style=dotted", "style=solid"})
    EXPECT_NE(dot.find(style), std::string::npos) << style;
}

TEST(ReportPageTest, CagesAreAFilmStripAndDeathsAreSeenFromNear) {
  fs::path dir = Fresh("cages");
  FakeRun run(10);
  run.cage_sites = 1;
  run.hostile = "<b>\"";
  run.WriteTo(dir);
  ExpectNoOutside(Report({dir}, dir / "report.html"));
  const std::string text = TextOf(dir / "report.html");
  for (const char* there : {"Film strip", "gets requests", "The 4 deaths from near", "first answer", "given to another", "Time to heal, by cause", "How long gets take", "by what came of them",
                            "shop-1.example<b>\"/0", "served again", "0.102 ms"})
    EXPECT_NE(text.find(there), std::string::npos) << there << " in " << text;
  EXPECT_EQ(text.find("Left out"), std::string::npos) << "three slots are drawn whole";
  EXPECT_EQ(text.find("http.get.by_start_ms"), std::string::npos) << "drawn once, beside the cages";
  FakeRun none(10);
  none.WriteTo(dir / "none");
  Report({dir / "none"}, dir / "none" / "report.html");
  EXPECT_EQ(TextOf(dir / "none" / "report.html").find("Film strip"), std::string::npos);
}

TEST(ReportPageTest, OfManyCagesThePageSaysWhatItLeavesOut) {
  fs::path dir = Fresh("cages-many");
  FakeRun run(10);
  run.cage_sites = 20, run.cage_slots = 8, run.cage_deaths = 500;
  run.WriteTo(dir);
  const std::string page = Report({dir}, dir / "report.html");
  EXPECT_LE(page.size(), 800'000u);
  const std::string text = TextOf(dir / "report.html");
  for (const char* there : {"Left out: 12 sites are one strip each.", "Deaths from near, 12 of 500", "all are under “figures”", "20 sites"}) EXPECT_NE(text.find(there), std::string::npos) << there;
  // What the writer left out is said too.
  std::string cages = Read(dir / "cages.json");
  const auto change = [&](const std::string& from, const std::string& to) { cages.replace(cages.find(from), from.size(), to); };
  change("\"lanes_all\":160", "\"lanes_all\":400,\"changes_lost\":7"), change("\"deaths_all\":500", "\"deaths_all\":9000"), change("\"changes\":", "\"step_ms\":750,\"changes\":");
  FakeRun::Write(dir / "cages.json", cages);
  Report({dir}, dir / "report.html");
  const std::string more = TextOf(dir / "report.html");
  for (const char* there : {"240 of 400 slots are not in the run directory", "7 changes of state were not kept", "told in steps", "12 of 9000 deaths", "the 500 longest are under “figures”"})
    EXPECT_NE(more.find(there), std::string::npos) << there;
}

TEST(ReportPageTest, ThePhysicsOfNatsIsReadByAxis) {
  fs::path dir = Fresh("physics");
  std::string claims;
  for (const char* says :
       {"mapping: an endpoint-independent box keeps its port",
        "mapping: an address-dependent box takes another", "filtering: a stranger is dropped",
        "filtering: a friend is let in", "idle: a mapping dies after 30 s", "hairpin: two inside meet"}) {
    absl::StrAppend(&claims, claims.empty() ? "" : ",", "{\"says\":\"", says,
                    "\",\"verdict\":\"held\",\"at\":5000}");
  }
  FakeRun::Write(
      dir / "result.json",
      R"({"schema":"orchard.result/1","scenario":"scenarios/nat/physics.json","seed":1,"passed":true,"sim_seconds":60,"claims":[)" +
          claims + "]}");
  Report({dir}, dir / "report.html");
  std::string text = TextOf(dir / "report.html");
  EXPECT_NE(text.find("mapping 2 of 2"), std::string::npos) << text.substr(0, 800);
  EXPECT_NE(text.find("a stranger is dropped"), std::string::npos);
}

TEST(ReportPageTest, ASweepShowsIntervalsAndTheCommandOfEachFailingRun) {
  fs::path dir = Fresh("sweep");
  const std::string judged = R"("by":"runs","hits":198,"n":200,"is":"at_least","bound":0.99,"share":0.99,"low":0.964277,"high":0.997254)";
  FakeRun::Write(
      dir / "result.json",
      absl::StrCat(
          R"({"schema":"orchard.result/1","scenario":"scenarios/nat/remap.json","name":"remap","seed":1,"passed":false,"replay":"orchard sweep scenarios/nat/remap.json --seeds 1..200","claims":[{"says":"reachable again","verdict":"undecided","expected":"count ≥ 8 in 99 % of the seeds","observed":"198 of 200 seeds","n":200,"sweep":{)",
          judged, R"(,"runs":200,"held":198,"more_seeds_at_best":530,"failing":[17,142]}},{"says":"they connect","verdict":"failed","sweep":{"by":"samples","stat":"ratio","part":"au<b>","hits":10,"n":20,"is":"at_least","bound":0.9,"share":0.5,"low":0.3,"high":0.7,"verdict":"failed","runs":200,"held":0,"failing":[],"parts":[{"by":"samples","hits":10,"n":20},{)",
          judged, R"(,"verdict":"held"}]}}],"metrics":{},"sweep":{"seeds":"1..200","ran":200,"runs":200,"missing":0,"broken":0,"failed_runs":2,"spread":{"connect_ms":{"p50":[1,2,3],"p95":[10,20,30]}},"failing":[{"seed":17,"claims":["reachable again"],"replay":"orchard sim scenarios/nat/remap.json --seed 17"},{"seed":142,"claims":["reachable again"],"notes":["<i>moment never came"],"replay":"orchard sim scenarios/nat/remap.json --seed 142"}]}})"));
  ExpectNoOutside(Report({dir}, dir / "report.html"));
  const std::string text = TextOf(dir / "report.html");
  for (const char* words : {"Over the seeds", "Seeds 1..200: 200 ran", "198 of 200 seeds", "99 % [96.4 %, 99.7 %]", "about 530 more seeds, if nothing else misses", "17, 142", "least in au<b>", "Runs that failed",
                            "orchard sim scenarios/nat/remap.json --seed 142", "<i>moment never came", "10 · 20 · 30"}) {
    EXPECT_NE(text.find(words), std::string::npos) << words << " in " << text;
  }
  EXPECT_EQ(text.find("Click, drag"), std::string::npos) << "many runs have no one time";
}

// ---- Odd input: the message names the file, and where in it ----

std::string ErrorOf(const fs::path& dir) {
  absl::Status s = WriteReport({dir.string()}, dir / "report.html");
  EXPECT_FALSE(s.ok());
  return std::string(s.message());
}

void Change(const fs::path& file, const std::string& from, const std::string& to) {
  std::string text = Read(file);
  size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  FakeRun::Write(file, text.replace(at, from.size(), to));
}

TEST(ReportInputTest, NamesTheDirectoryOrFileThatIsMissing) {
  EXPECT_NE(ErrorOf(kOut / "nowhere").find("nowhere: no such directory"), std::string::npos);
  fs::path dir = Fresh("empty");
  EXPECT_NE(ErrorOf(dir).find("result.json: no such file"), std::string::npos);
  EXPECT_EQ(WriteReport({}, dir / "report.html").code(), absl::StatusCode::kInvalidArgument);
}

TEST(ReportInputTest, NamesTheFileThatIsCutOffOrNotJson) {
  for (const char* name : {"result.json", "topology.json", "series.json", "cages.json"}) {
    fs::path dir = Fresh("cut");
    FakeRun run(10);
    run.cage_sites = 2;
    run.WriteTo(dir);
    std::string text = Read(dir / name);
    FakeRun::Write(dir / name, text.substr(0, text.size() / 2));
    std::string error = ErrorOf(dir);
    EXPECT_NE(error.find(name), std::string::npos) << error;
    EXPECT_NE(error.find("cut off"), std::string::npos) << error;
    FakeRun::Write(dir / name, std::string("\xff\xfe\0{", 4));
    EXPECT_NE(ErrorOf(dir).find(name), std::string::npos);
    FakeRun::Write(dir / name, "");
    EXPECT_NE(ErrorOf(dir).find(name), std::string::npos);
    FakeRun::Write(dir / name, "[]");
    EXPECT_NE(ErrorOf(dir).find("expected an object"), std::string::npos);
    FakeRun::Write(dir / name, std::string(100'000, '['));
    EXPECT_NE(ErrorOf(dir).find(name), std::string::npos);
  }
}

TEST(ReportInputTest, NamesThePlaceTheFoundAndTheExpected) {
  struct Case {
    const char *file, *from, *to, *expect;
  };
  const Case cases[] = {
      {"result.json", "orchard.result/1", "orchard.result/9",
       "result.json: schema: found \"orchard.result/9\", expected \"orchard.result/1\""},
      {"result.json", "\"verdict\":\"held\"", "\"verdict\":12",
       "result.json: claims[0].verdict: found 12, expected a text"},
      {"result.json", "\"seed\":1", "\"seed\":\"one\"",
       "result.json: seed: found \"one\", expected a number"},
      {"result.json", "\"passed\":true,", "", "result.json: passed: missing, expected true or false"},
      {"result.json", "\"margin\":0.61", "\"margin\":[]",
       "result.json: claims[0].bounds[0].margin: found [], expected a number"},
      {"topology.json", "\"id\":\"boot-1\"", "\"id\":null",
       "topology.json: hosts[0].id: found null, expected a text"},
      {"topology.json", "\"a\":0,\"b\":", "\"a\":0,\"b\":99999,\"c\":", "expected indices below 10"},
      {"series.json", "\"step_ms\":1000", "\"step_ms\":\"1s\"",
       "series.json: series[0].step_ms: found \"1s\", expected a number"},
      {"series.json", "\"quantiles\":[", "\"quantiles\":[\"<b>\",",
       "series.json: samples[0].quantiles[0]: found \"<b>\", expected a number"},
      {"cages.json", "\"slot\":0", "\"slot\":\"<b>\"", "cages.json: lanes[0].slot: found \"<b>\", expected a number"},
      {"cages.json", "[20,\"INIT\"]", "[20,{}]", "cages.json: lanes[0].changes[0][1]: found {}, expected a number"}};
  for (const Case& c : cases) {
    fs::path dir = Fresh("odd");
    FakeRun run(10);
    run.cage_sites = 1;
    run.WriteTo(dir);
    Change(dir / c.file, c.from, c.to);
    std::string error = ErrorOf(dir);
    EXPECT_NE(error.find(c.expect), std::string::npos) << error;
    EXPECT_FALSE(fs::exists(dir / "report.html")) << "no half report";
  }
}

TEST(ReportInputTest, NoDamageToAFileDoesMoreThanAnError) {
  fs::path dir = Fresh("damaged");
  FakeRun run(10);
  run.cage_sites = 2;
  run.WriteTo(dir);
  std::string path = std::getenv("PATH") == nullptr ? "" : std::getenv("PATH");
  setenv("PATH", "/nonexistent", 1);  // The layout is not what is tested.
  uint64_t state = 12345, refused = 0;
  auto next = [&] { return (state = state * 6364136223846793005u + 1442695040888963407u) >> 33; };
  const std::vector<std::string> pieces = {
      "null", "-1",      "1e308", "[", "]", "{", "}", "\"", ",", "true", "99999999999999999999",
      "\xff", "\\u0000", "0.5"};
  for (const char* name : {"result.json", "topology.json", "series.json", "cages.json"}) {
    const std::string whole = Read(dir / name);
    for (int round = 0; round < 150; ++round) {
      std::string text = whole;
      for (uint64_t k = 0, n = 1 + next() % 3; k < n; ++k) {
        size_t at = next() % text.size(), length = std::min<size_t>(next() % 9, text.size() - at);
        text.replace(at, length, pieces[next() % pieces.size()]);
      }
      FakeRun::Write(dir / name, text);
      absl::Status s = WriteReport({dir.string()}, dir / "report.html");
      refused += !s.ok();
      EXPECT_TRUE(s.ok() || s.message().find(name) != absl::string_view::npos) << s;
    }
    FakeRun::Write(dir / name, whole);
  }
  setenv("PATH", path.c_str(), 1);
  EXPECT_GT(refused, 200u);
}

TEST(ReportInputTest, ACaseMayNotLeadOutOfItsRun) {
  fs::path dir = Fresh("outside");
  FakeRun one(6);
  one.case_name = "ours";
  FakeRun::WriteCases(dir, {one});
  Change(dir / "result.json", "\"dir\":\"cases/ours\"", "\"dir\":\"cases/../../ten\"");
  EXPECT_TRUE(WriteReport({dir.string()}, dir / "report.html").ok())
      << "the case's own folder is found by its name";
  EXPECT_EQ(CaseFolder("ei-ei|ap-ap"), "ei-ei|ap-ap");
  EXPECT_EQ(CaseFolder("../x y"), "_.._x_y");
}

TEST(ReportTest, BoxesStandInOneAnotherAndLansBehindTheirRouters) {
  fs::path dir = Fresh("household");
  FakeRun(6).WriteTo(dir);
  FakeRun::Write(
      dir / "topology.json",
      R"({"schema":"orchard.topology/1","hosts":[{"id":"a","nat":"port-restricted+cgn","boxes":["cgn@telco"]},{"id":"b","lan":"smith","nat":"port-restricted"},{"id":"c","lan":"smith","nat":"port-restricted"},{"id":"d","boxes":["nobody"]},{"id":"web","runs":"web"}],
    "nats":[{"label":"port-restricted+cgn","chain":[{"preset":"port-restricted","mapping":"EI","filtering":"AP"},{"preset":"cgn","mapping":"EI","filtering":"AP"}]}],
    "boxes":[{"name":"cgn@telco","label":"cgn","inside":"wan"},{"name":"smith","label":"port-restricted","inside":"cgn@telco"}],"lans":[{"id":"smith","rate_bps":3e8,"delay_ms":2}]})");
  std::string page = Report({dir}, dir / "report.html"), dot = Read(dir / "topology.dot");
  ASSERT_NE(dot.find("label=\"cgn@telco"), std::string::npos);
  size_t lans = 0;
  for (size_t at = dot.find("LAN smith"); at != std::string::npos; at = dot.find("LAN smith", at + 1)) ++lans;
  EXPECT_EQ(lans, 1u) << "two members, one LAN";
  EXPECT_NE(dot.find("world -- b0 "), std::string::npos) << "the carrier's box hangs from the world";
  EXPECT_NE(dot.find("b0 -- b2 "), std::string::npos) << "the router stands behind the carrier";
  EXPECT_EQ(dot.find("nobody"), std::string::npos);
  EXPECT_NE(dot.find("shape=cylinder"), std::string::npos);
}

TEST(ReportInputTest, KeysThatTheFormatDoesNotNameStayOutside) {
  fs::path dir = Fresh("unknown");
  FakeRun::Write(
      dir / "result.json",
      R"({"schema":"orchard.result/1","scenario":"a.json","seed":1,"passed":true,"claims":[],"fails_when":[{"says":"x","in":["ours"]}],"checkpoints":["deadbeef"]})");
  std::string page = Report({dir}, dir / "report.html");
  EXPECT_EQ(page.find("deadbeef"), std::string::npos);
}

TEST(ReportInputTest, OnlyTheResultIsNeeded) {
  fs::path dir = Fresh("lean");
  FakeRun::Write(
      dir / "result.json",
      R"({"schema":"orchard.result/1","scenario":"a.json","seed":1,"passed":true,"claims":[],"something new":{"a":[1]}})");
  std::string page = Report({dir}, dir / "report.html");
  ExpectNoOutside(page);
  EXPECT_NE(TextOf(dir / "report.html").find("Nothing was claimed"), std::string::npos);
}

}  // namespace
}  // namespace orchard::reports
