#include "node/host/data_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace orchard::host {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class DataDirTest : public testing::Test {
 protected:
  DataDirTest() {
    char name[] = "/tmp/orchard-data-dir-XXXXXX";
    root_ = mkdtemp(name);
  }
  ~DataDirTest() override { fs::remove_all(root_); }
  static std::string Read(const fs::path& file) {
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
  }
  static mode_t Mode(const fs::path& path) {
    struct stat st {};
    stat(path.c_str(), &st);
    return st.st_mode & 07777;
  }
  fs::path root_;
};

TEST_F(DataDirTest, ALinkInPlaceOfTheLockIsRefusedAndItsTargetIsLeftAlone) {
  std::ofstream(root_ / "victim") << "precious";
  fs::create_directory(root_ / "data");
  fs::create_symlink(root_ / "victim", root_ / "data" / "lock");
  EXPECT_THAT(std::string(DataDir::Open(root_ / "data").status().message()), HasSubstr("is a symbolic link"));
  fs::remove(root_ / "data" / "lock");
  fs::create_hard_link(root_ / "victim", root_ / "data" / "lock");
  EXPECT_THAT(std::string(DataDir::Open(root_ / "data").status().message()), HasSubstr("not a plain file of its own"));
  EXPECT_EQ(Read(root_ / "victim"), "precious");
}

TEST_F(DataDirTest, ANewDirectoryIsPrivateAnOldOneKeepsItsMode) {
  ASSERT_TRUE(DataDir::Open(root_ / "a" / "new").ok());
  EXPECT_EQ(Mode(root_ / "a" / "new"), 0700u);
  fs::create_directory(root_ / "shared");
  fs::permissions(root_ / "shared", fs::perms(01777));
  ASSERT_TRUE(DataDir::Open(root_ / "shared").ok());
  EXPECT_EQ(Mode(root_ / "shared"), 01777u);
}

TEST_F(DataDirTest, OneDaemonADirectory) {
  absl::StatusOr<DataDir> first = DataDir::Open(root_);
  ASSERT_TRUE(first.ok());
  EXPECT_THAT(std::string(DataDir::Open(root_).status().message()), HasSubstr("another orchard (process " + std::to_string(getpid()) + ")"));
}

}  // namespace
}  // namespace orchard::host
