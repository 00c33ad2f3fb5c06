#include "node/host/admin_token.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace orchard::host {
namespace {

using ::testing::HasSubstr;

TEST(AdminTokenTest, IsMadeOnceForUsAlone) {
  TempDir dir;
  const auto token = AdminToken(dir / "admin.token");
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->size(), 64u);
  struct stat st;
  ASSERT_EQ(stat((dir / "admin.token").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  EXPECT_EQ(*AdminToken(dir / "admin.token"), *token);
  EXPECT_NE(*AdminToken(dir / "another"), *token);
}

TEST(AdminTokenTest, WhatOthersMayReadOrIsNoneIsSaid) {
  TempDir dir;
  const std::string path = dir / "admin.token";
  ASSERT_TRUE(AdminToken(path).ok());
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  EXPECT_THAT(std::string(AdminToken(path).status().message()), HasSubstr("chmod 600"));
  ASSERT_EQ(chmod(path.c_str(), 0600), 0);
  std::ofstream(path) << "short\n";
  EXPECT_THAT(std::string(AdminToken(path).status().message()), HasSubstr("holds no token"));
  std::ofstream(path) << std::string(300, 'a');
  EXPECT_FALSE(AdminToken(path).ok());
  std::ofstream(path) << "a-token-of-our-own\n";
  EXPECT_EQ(*AdminToken(path), "a-token-of-our-own");
  unlink(path.c_str());
  ASSERT_TRUE(AdminToken(dir / "elsewhere").ok());
  ASSERT_EQ(symlink((dir / "elsewhere").c_str(), path.c_str()), 0);
  EXPECT_FALSE(AdminToken(path).ok());
}

}  // namespace
}  // namespace orchard::host
