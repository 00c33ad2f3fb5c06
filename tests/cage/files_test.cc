#include "node/cage/files.h"

#include <gmock/gmock.h>

#include "node/wire/writer.h"

namespace orchard::cage {
namespace {

using testing::HasSubstr;

std::string Why(const absl::Status& s) { return std::string(s.message()); }

TEST(CageFilesTest, WhatIsWrittenIsReadAndTheSameFilesAreTheSameBytes) {
  const FileMap files = {{"index.html", "<h1>"}, {"css/site.css", ""}, {"a/b/c", std::string(3, '\0')}, {"größe.txt", "x"}};
  const std::string bytes = EncodeFiles(files);
  EXPECT_EQ(*DecodeFiles(AsBytes(bytes)), files);
  EXPECT_EQ(EncodeFiles(FileMap(files.rbegin(), files.rend())), bytes);
  EXPECT_TRUE(DecodeFiles(AsBytes(EncodeFiles({})))->empty());
  for (size_t n = 0; n < bytes.size(); ++n) EXPECT_FALSE(DecodeFiles(AsBytes(bytes).first(n)).ok()) << n;
  EXPECT_FALSE(DecodeFiles(AsBytes(bytes + "x")).ok());
}

TEST(CageFilesTest, PathsThatLeadElsewhereAreRefusedByName) {
  for (const char* path : {"", "/etc/passwd", "..", "../x", "a/../x", "a//b", "a/", ".", "a/./b"}) {
    EXPECT_THAT(Why(CheckPath(path)), HasSubstr("is no path such as")) << path;
    EXPECT_FALSE(DecodeFiles(AsBytes(EncodeFiles({{path, ""}}))).ok()) << path;
  }
  EXPECT_THAT(Why(CheckPath("a\xff")), HasSubstr("61ff"));
  EXPECT_THAT(Why(CheckPath(std::string("a\0b", 3))), HasSubstr("control characters"));
  EXPECT_TRUE(CheckPath("...").ok());
}

TEST(CageFilesTest, EachLimitIsNamed) {
  EXPECT_TRUE(CheckPath(std::string(kPathBytesMax, 'x')).ok());
  EXPECT_THAT(Why(CheckPath(std::string(kPathBytesMax + 1, 'x'))), HasSubstr("more than 1024 bytes"));
  std::string deep = "x";
  for (size_t i = 1; i < kPathDepthMax; ++i) deep += "/x";
  EXPECT_TRUE(CheckPath(deep).ok());
  EXPECT_THAT(Why(CheckPath(deep + "/x")), HasSubstr("more than 32 names deep"));
  FileMap many;
  for (size_t i = 0; i < kFilesMax; ++i) many["f" + std::to_string(i)] = "";
  EXPECT_TRUE(CheckFiles(many).ok());
  many["one more"] = "";
  EXPECT_THAT(Why(CheckFiles(many)), HasSubstr("at most 10000"));
  EXPECT_TRUE(CheckFiles({{"a", std::string(kFilesBytesMax, 'x')}}).ok());
  EXPECT_THAT(Why(CheckFiles({{"a", std::string(kFilesBytesMax, 'x')}, {"b", "x"}})), HasSubstr("at most 67108864"));
  EXPECT_THAT(Why(CheckFiles({{"a", ""}, {"a/b", ""}})), HasSubstr("\"a/b\" lies in one that is no directory"));
}

TEST(CageFilesTest, FilesOutOfOrderAndCountsThatLieAreRefused) {
  wire::Writer twice;
  twice.Uint(2);
  for (int i = 0; i < 2; ++i) twice.String("a"), twice.String("");
  EXPECT_FALSE(DecodeFiles(AsBytes(twice.str())).ok());
  wire::Writer lie;
  lie.Uint(kFilesMax + 1);
  EXPECT_FALSE(DecodeFiles(AsBytes(lie.str())).ok());
}

}  // namespace
}  // namespace orchard::cage
