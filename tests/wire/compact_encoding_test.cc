// Every row of the vectors that the JavaScript package produced, written and read.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "node/wire/reader.h"
#include "node/wire/writer.h"

namespace orchard::wire {
namespace {

using nlohmann::json;

const json& Vectors() {
  static const json v = json::parse(std::ifstream(std::string(ORCHARD_SOURCE_DIR) + "/tests/vectors/v01-compact-encoding.json"));
  return v;
}
std::string Unhex(const json& hex) { return *FromHex(hex.get<std::string>()); }

// Writes with `write`, compares, reads back with `read` and leaves nothing over.
template <class Write, class Read>
void RoundTrip(const json& row, Write write, Read read) {
  std::string want = Unhex(row.at("hex"));
  Writer w;
  write(w);
  EXPECT_EQ(ToHex(w.bytes()), row.at("hex").get<std::string>()) << row;
  Reader r(AsBytes(want));
  read(r);
  EXPECT_TRUE(r.ok()) << row;
  EXPECT_EQ(r.remaining(), 0u) << row;
}

TEST(CompactEncodingTest, VarintsAreTheJavaScriptOnes) {
  ASSERT_EQ(Vectors().at("uint").size(), 23u);
  for (const json& row : Vectors().at("uint")) {
    uint64_t x = row.at("value");
    RoundTrip(row, [&](Writer& w) { w.Uint(x); }, [&](Reader& r) { EXPECT_EQ(r.Uint(), x); });
  }
}

TEST(CompactEncodingTest, FixedWidthsAreLittleEndian) {
  ASSERT_FALSE(Vectors().at("uint_fixed").empty());
  for (const json& row : Vectors().at("uint_fixed")) {
    uint64_t x = row.at("value");
    size_t bytes = std::stoul(row.at("type").get<std::string>().substr(4)) / 8;
    RoundTrip(row, [&](Writer& w) { w.Fixed(x, bytes); }, [&](Reader& r) { EXPECT_EQ(r.Fixed(bytes), x); });
  }
}

TEST(CompactEncodingTest, SignedIntegersAreZigZag) {
  ASSERT_FALSE(Vectors().at("int").empty());
  for (const json& row : Vectors().at("int")) {
    int64_t x = row.at("value");
    RoundTrip(row, [&](Writer& w) { w.Int(x); }, [&](Reader& r) { EXPECT_EQ(r.Int(), x); });
  }
}

TEST(CompactEncodingTest, LexintsOrderAsBytes) {
  ASSERT_FALSE(Vectors().at("lexint").empty());
  for (const json& row : Vectors().at("lexint")) {
    uint64_t x = row.at("value");
    RoundTrip(row, [&](Writer& w) { w.Lexint(x); }, [&](Reader& r) { EXPECT_EQ(r.Lexint(), x); });
  }
}

TEST(CompactEncodingTest, BuffersStringsAndKeys) {
  for (const json& row : Vectors().at("buffer")) {
    std::string x = Unhex(row.at("value"));
    RoundTrip(row, [&](Writer& w) { w.Buffer(AsBytes(x)); }, [&](Reader& r) { EXPECT_EQ(AsText(r.Buffer()), x); });
  }
  for (const json& row : Vectors().at("optionalBuffer")) {
    std::string x = row.at("value").is_null() ? "" : Unhex(row.at("value"));
    RoundTrip(row, [&](Writer& w) { w.Buffer(AsBytes(x)); },
              [&](Reader& r) { EXPECT_EQ(r.OptionalBuffer().has_value(), !x.empty()); });
  }
  for (const json& row : Vectors().at("string")) {
    std::string x = row.at("value");
    RoundTrip(row, [&](Writer& w) { w.String(x); }, [&](Reader& r) { EXPECT_EQ(AsText(r.Buffer()), x); });
  }
  for (const json& row : Vectors().at("fixed")) {
    std::string x = Unhex(row.at("value"));
    RoundTrip(row, [&](Writer& w) { w.Raw(AsBytes(x)); }, [&](Reader& r) { EXPECT_EQ(AsText(r.Take(x.size())), x); });
  }
  for (const json& row : Vectors().at("raw")) {
    std::string x = Unhex(row.at("value"));
    RoundTrip(row, [&](Writer& w) { w.Raw(AsBytes(x)); }, [&](Reader& r) { EXPECT_EQ(AsText(r.Raw()), x); });
  }
  for (const json& row : Vectors().at("bool")) {
    bool x = row.at("value");
    RoundTrip(row, [&](Writer& w) { w.Bool(x); }, [&](Reader& r) { EXPECT_EQ(r.Bool(), x); });
  }
}

TEST(CompactEncodingTest, ArraysAndFrames) {
  for (const json& row : Vectors().at("array_uint")) {
    RoundTrip(
        row,
        [&](Writer& w) {
          w.Uint(row.at("value").size());
          for (uint64_t x : row.at("value")) w.Uint(x);
        },
        [&](Reader& r) {
          ASSERT_EQ(r.ArraySize(), row.at("value").size());
          for (uint64_t x : row.at("value")) EXPECT_EQ(r.Uint(), x);
        });
  }
  for (const json& row : Vectors().at("array_string")) {
    RoundTrip(
        row,
        [&](Writer& w) {
          w.Uint(row.at("value").size());
          for (std::string x : row.at("value")) w.String(x);
        },
        [&](Reader& r) {
          ASSERT_EQ(r.ArraySize(), row.at("value").size());
          for (std::string x : row.at("value")) EXPECT_EQ(AsText(r.Buffer()), x);
        });
  }
  for (const json& row : Vectors().at("frame")) {
    std::string x = row.at("value");
    Writer inner;
    inner.String(x);
    RoundTrip(row, [&](Writer& w) { w.Buffer(inner.bytes()); },
              [&](Reader& r) { EXPECT_EQ(AsText(r.Frame().Buffer()), x); });
  }
  for (const json& row : Vectors().at("bitfield")) {
    uint64_t x = row.at("value");
    RoundTrip(row, [&](Writer& w) { w.Bitfield(x, row.at("bits")); }, [&](Reader& r) { EXPECT_EQ(r.Bitfield(), x); });
  }
}

TEST(CompactEncodingTest, Addresses) {
  auto v4 = [](const json& a) {
    return Ipv4Address::Of(*Endpoint::Parse(a.at("host").get<std::string>() + ":" + std::to_string(a.at("port").get<int>())));
  };
  ASSERT_FALSE(Vectors().at("ipv4Address").empty());
  for (const json& row : Vectors().at("ipv4Address")) {
    Ipv4Address x = v4(row);
    RoundTrip(row, [&](Writer& w) { w.Ipv4(x); }, [&](Reader& r) { EXPECT_EQ(r.Ipv4(), x); });
  }
  for (const json& row : Vectors().at("ipv4Array")) {
    RoundTrip(
        row,
        [&](Writer& w) {
          w.Uint(row.at("value").size());
          for (const json& a : row.at("value")) w.Ipv4(v4(a));
        },
        [&](Reader& r) {
          ASSERT_EQ(r.ArraySize(), row.at("value").size());
          for (const json& a : row.at("value")) EXPECT_EQ(r.Ipv4(), v4(a));
        });
  }
  for (const json& row : Vectors().at("ipv6Address")) {
    Endpoint x = *Endpoint::Parse("[" + row.at("host").get<std::string>() + "]:" + std::to_string(row.at("port").get<int>()));
    RoundTrip(row, [&](Writer& w) { w.Ipv6(x); }, [&](Reader& r) { EXPECT_EQ(r.Ipv6(), x); });
    // The text form is never compressed. (A v4-mapped address is v4 to us, and has no v6 text.)
    if (!x.is_v4()) {
      EXPECT_EQ(x.host(), row.at("decoded").at("host").get<std::string>());
    }
  }
}

TEST(CompactEncodingTest, RefusesWhatJavaScriptRefusesAndNothingElse) {
  ASSERT_EQ(Vectors().at("decode_errors").size(), 12u);
  for (const json& row : Vectors().at("decode_errors")) {
    std::string bytes = Unhex(row.at("hex")), type = row.at("type");
    Reader r(AsBytes(bytes));
    uint64_t got = 0;
    if (type.starts_with("uint")) got = r.Uint();
    else if (type == "buffer") r.Buffer();
    else if (type == "array(uint)") r.ArraySize();
    else if (type == "bool") got = r.Bool();
    else if (type == "fixed32") r.Key();
    else if (type == "ipv4Address") r.Ipv4();
    else FAIL() << type;
    EXPECT_EQ(r.ok(), row.contains("result")) << row;
    EXPECT_EQ(r.status().ok(), r.ok());
    if (row.contains("result")) {
      const json& want = row.at("result");
      EXPECT_EQ(got, want.is_boolean() ? want.get<bool>() : want.get<uint64_t>());
    }
  }
}

TEST(CompactEncodingTest, AnErrorSticks) {
  const uint8_t bytes[] = {0xfd, 1, 7, 7};
  Reader r(Bytes(bytes, 2));
  EXPECT_EQ(r.Uint(), 0u);
  EXPECT_EQ(r.U8(), 0u);
  EXPECT_EQ(r.Key(), Key32{});
  EXPECT_FALSE(r.ok());
}

}  // namespace
}  // namespace orchard::wire
