// ./orchard's way of getting packages, with an apt of our own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/temp_dir.h"

namespace orchard {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

// A tree with the wrapper, two packages, and a system whose apt does as told and writes down what it was asked.
struct Tree {
  TempDir dir;
  fs::path root = dir.path();

  explicit Tree(bool apt_would_install, bool downloads = true) {
    fs::create_directories(root / "bin");
    fs::copy(fs::path(ORCHARD_SOURCE_DIR) / "orchard", root / "orchard");
    std::ofstream(root / "packages.txt") << "# ours\n[build]\nninja-build\nlibnode-dev or unpack libnode-dev libnode108\n[other]\nnever\n";
    Tool("apt-get", std::string("echo \"apt-get $*\" >> ") + dir.path() + "/asked\n"
                    "case $* in\n  *--simulate*) exit " + (apt_would_install ? "0" : "100") + " ;;\n"
                    "  download*) " + (downloads ? "touch libnode-dev_1.deb libnode108_1.deb" : "exit 100") + " ;;\nesac\n");
    Tool("dpkg-query", "exit 0\n");
    Tool("dpkg", "mkdir -p \"$3/usr/$(basename \"$2\" _1.deb)\"\n");
    Tool("sudo", "shift $([[ $1 == -n ]] && echo 1 || echo 0); \"$@\"\n");
  }
  void Tool(const std::string& name, const std::string& body) {
    std::ofstream(root / "bin" / name) << "#!/usr/bin/env bash\n" << body;
    fs::permissions(root / "bin" / name, fs::perms::owner_all);
  }
  // Of `need build`.
  int Need() {
    const std::string command = "PATH=" + (root / "bin").string() + ":$PATH bash -c 'source " + (root / "orchard").string() + "; need build' > " + dir.path() + "/said 2>&1";
    return std::system(command.c_str());
  }
  std::string Read(const char* name) {
    std::stringstream text;
    text << std::ifstream(root / name).rdbuf();
    return text.str();
  }
};

TEST(WrapperTest, WhereAptWouldInstallAPackageItDoes) {
  Tree t(true);
  ASSERT_EQ(t.Need(), 0) << t.Read("said");
  EXPECT_THAT(t.Read("asked"), HasSubstr("install -y -qq --no-install-recommends ninja-build libnode-dev\n"));
  EXPECT_THAT(t.Read("asked"), Not(HasSubstr("download")));
  EXPECT_FALSE(fs::exists(t.root / "build/deps"));
}

TEST(WrapperTest, WhereAptRefusesItsFilesAreUnpackedInTheTree) {
  Tree t(false);
  ASSERT_EQ(t.Need(), 0) << t.Read("said");
  EXPECT_THAT(t.Read("asked"), HasSubstr("download -qq libnode-dev libnode108\n"));
  EXPECT_THAT(t.Read("asked"), HasSubstr("install -y -qq --no-install-recommends ninja-build\n"));
  EXPECT_TRUE(fs::exists(t.root / "build/deps/usr/libnode-dev") && fs::exists(t.root / "build/deps/usr/libnode108"));
  // Once.
  fs::remove(t.root / "asked");
  fs::remove(t.root / "build/.packages-build");
  ASSERT_EQ(t.Need(), 0);
  EXPECT_THAT(t.Read("asked"), Not(HasSubstr("download")));
}

TEST(WrapperTest, WhereNeitherCanBeHadItGoesOnWithout) {
  Tree t(false, false);
  ASSERT_EQ(t.Need(), 0) << t.Read("said");
  EXPECT_THAT(t.Read("said"), HasSubstr("could not be downloaded; building without"));
  EXPECT_FALSE(fs::exists(t.root / "build/deps/.libnode-dev"));
}

}  // namespace
}  // namespace orchard
