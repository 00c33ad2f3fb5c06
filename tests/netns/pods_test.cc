// Three daemons, an nginx and curl in namespaces: bench/pods.py builds them, measures, and says what a pod is worth.

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "sim/language/json_text.h"
#include "tests/netns/lab.h"
#include "tests/support/temp_dir.h"

namespace orchard::sim {
namespace {

class PodsTest : public KernelTest {
 protected:
  static std::string Read(const std::string& file) {
    std::stringstream s;
    s << std::ifstream(file).rdbuf();
    return s.str();
  }
  static double Figure(const Json& found, std::string_view run, std::string_view name) { return std::atof(found.Find(run)->Find(name)->text.c_str()); }
  TempDir dir_;
};

// The program itself fails if any of the downloads has other bytes than the origin's.
TEST_F(PodsTest, CurlThroughThreeShapedUplinksGetsAlmostTheirSumAndLosesNothingWhenAMemberDies) {
  const std::string said = dir_ / "said", out = dir_ / "found";
  const int status = std::system(("python3 " ORCHARD_SOURCE_DIR "/bench/pods.py " ORCHARD_BINARY_DIR " --seconds 3 --json " + out + " >" + said + " 2>&1").c_str());
  ASSERT_EQ(status, 0) << Read(said);
  SCOPED_TRACE(Read(said));
  JsonError error;
  const Json found = ParseJson(Read(out), 0, error).value();
  EXPECT_GE(Figure(found, "pod", "efficiency"), 0.75);
  EXPECT_LE(Figure(found, "pod", "efficiency"), 1.02);  // More than there is would be a false measurement.
  // By the origin's own log; the rates are as 50, 30 and 20 %.
  const std::vector<Json>& shares = found.Find("pod")->Find("shares")->items;
  ASSERT_EQ(shares.size(), 3u);
  EXPECT_GE(std::atof(shares[0].text.c_str()), 0.35);
  EXPECT_GE(std::atof(shares[1].text.c_str()), 0.2);
  EXPECT_GE(std::atof(shares[2].text.c_str()), 0.1);
  EXPECT_GE(Figure(found, "dark", "harm"), 1.0);
  EXPECT_GE(Figure(found, "killed", "harm"), 1.0);
}

}  // namespace
}  // namespace orchard::sim
