#include "node/host/site_files.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temp_dir.h"

namespace orchard::host {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class SiteFilesTest : public testing::Test {
 protected:
  SiteFilesTest() { fs::create_directories(www_ + "/css/empty"); }
  void Put(const std::string& path, const std::string& text) { std::ofstream(www_ + "/" + path, std::ios::binary) << text; }
  std::string Why() { return std::string(ReadSiteFiles(www_).status().message()); }

  TempDir dir_;
  const std::string www_ = dir_ / "www";
};

TEST_F(SiteFilesTest, RegularFilesAreReadAndEmptyDirectoriesAreNone) {
  Put("index.html", "<h1>"), Put("css/site.css", std::string("a\0b", 3)), Put("css/empty.css", ""), Put(".hidden", "h");
  EXPECT_THAT(*ReadSiteFiles(www_), ElementsAre(Pair(".hidden", "h"), Pair("css/empty.css", ""), Pair("css/site.css", std::string("a\0b", 3)), Pair("index.html", "<h1>")));
  fs::create_symlink("www", dir_ / "link");
  EXPECT_EQ(ReadSiteFiles(dir_ / "link")->size(), 4u);  // Its own name is the operator's affair.
}

TEST_F(SiteFilesTest, LinksStayWithin) {
  std::ofstream(dir_ / "secret") << "secret";
  Put("a.txt", "a");
  fs::create_symlink("../a.txt", www_ + "/css/up.txt");
  EXPECT_THAT(*ReadSiteFiles(www_), ElementsAre(Pair("a.txt", "a"), Pair("css/up.txt", "a")));
  for (const std::string& target : {std::string("../secret"), std::string("/etc/passwd"), www_ + "/a.txt", std::string("css/../../secret")}) {
    fs::create_symlink(target, www_ + "/out");
    EXPECT_THAT(Why(), HasSubstr(www_ + "/out is a link that leads out of the directory")) << target;
    fs::remove(www_ + "/out");
  }
  fs::create_symlink("loop", www_ + "/loop");
  EXPECT_THAT(Why(), HasSubstr("/loop is a link that leads to itself"));
  fs::remove(www_ + "/loop");
  fs::create_symlink("nowhere", www_ + "/broken");
  EXPECT_THAT(Why(), AllOf(HasSubstr("cannot read"), HasSubstr("/broken")));
  fs::remove(www_ + "/broken");
  fs::create_symlink("css", www_ + "/styles");
  EXPECT_THAT(Why(), HasSubstr("/styles is no regular file"));
}

TEST_F(SiteFilesTest, WhatIsNoFileOrHasNoNameIsNamed) {
  ASSERT_EQ(mkfifo((www_ + "/pipe").c_str(), 0600), 0);
  EXPECT_THAT(Why(), HasSubstr("/pipe is no regular file"));
  fs::remove(www_ + "/pipe");
  Put("css/b\xff.txt", "");
  EXPECT_THAT(Why(), AllOf(HasSubstr("6373732f62ff2e747874"), HasSubstr("no UTF-8")));
  fs::remove(www_ + "/css/b\xff.txt");
  std::string deep = "d";
  for (size_t i = 1; i < cage::kPathDepthMax; ++i) deep += "/d";
  fs::create_directories(www_ + "/" + deep);
  EXPECT_TRUE(ReadSiteFiles(www_).ok());
  Put(deep + "/x", "");
  EXPECT_THAT(Why(), HasSubstr("more than 32 names deep"));
  fs::remove(www_ + "/" + deep + "/x");
  fs::create_directories(www_ + "/" + deep + "/d");
  EXPECT_THAT(Why(), HasSubstr("more than 32 names deep"));
}

TEST_F(SiteFilesTest, ADirectoryThatIsNoneIsNamed) {
  EXPECT_EQ(ReadSiteFiles(dir_ / "none").status().message(), "cannot read the directory of files " + (dir_ / "none") + ": No such file or directory");
  Put("a.txt", "");
  EXPECT_EQ(ReadSiteFiles(www_ + "/a.txt").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(SiteFilesTest, BytesAndFilesHaveAnEnd) {
  Put("big", "");
  fs::resize_file(www_ + "/big", cage::kFilesBytesMax);
  EXPECT_TRUE(ReadSiteFiles(www_).ok());
  Put("css/more", "x");
  EXPECT_THAT(Why(), HasSubstr("more than 64 MiB"));
  fs::remove(www_ + "/big");
  for (size_t i = 1; i < cage::kFilesMax; ++i) Put("f" + std::to_string(i), "");
  EXPECT_EQ(ReadSiteFiles(www_)->size(), cage::kFilesMax);
  Put("one more", "");
  EXPECT_THAT(Why(), HasSubstr("more than 10000 files"));
}

}  // namespace
}  // namespace orchard::host
