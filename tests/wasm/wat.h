// Modules as text, for tests.
#pragma once

#include <gtest/gtest.h>
#include <wabt/binary-writer.h>
#include <wabt/error-formatter.h>
#include <wabt/ir.h>
#include <wabt/stream.h>
#include <wabt/wast-lexer.h>
#include <wabt/wast-parser.h>

#include <memory>
#include <string>
#include <string_view>

namespace orchard::wasm {

// The bytes of `text`, with every feature that libwabt knows; it need not be valid.
inline std::string Wat(std::string_view text) {
  wabt::Features all;
  all.EnableAll();
  wabt::Errors errors;
  const std::unique_ptr<wabt::WastLexer> lexer = wabt::WastLexer::CreateBufferLexer("test", text.data(), text.size(), &errors);
  std::unique_ptr<wabt::Module> module;
  wabt::WastParseOptions options(all);
  if (wabt::Failed(wabt::ParseWatModule(lexer.get(), &module, &errors, &options))) {
    ADD_FAILURE() << (errors.empty() ? "?" : errors.front().message);
    return "";
  }
  wabt::MemoryStream stream;
  EXPECT_TRUE(wabt::Succeeded(wabt::WriteBinaryModule(&stream, module.get(), wabt::WriteBinaryOptions(all, true, false, false))));
  return std::string(stream.output_buffer().data.begin(), stream.output_buffer().data.end());
}

}  // namespace orchard::wasm
