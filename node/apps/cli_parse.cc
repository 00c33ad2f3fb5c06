#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "node/apps/cli.h"
#include "node/base/endpoint.h"
#include "node/base/nearest_word.h"
#include "node/host/ipc_server.h"
#include "node/sidecar/params.h"

namespace orchard::cli {
namespace {

using sidecar::Operation;
using sidecar::Param;
using sidecar::ParamType;

// To name a site is to deploy it: one operation, and so one standing order, whichever words were used. docs/decisions/0012.
constexpr OtherWords kOtherWords[] = {{"site.add", "cage.deploy"}, {"site.list", "cage.list"}, {"site.remove", "cage.stop"}};

constexpr std::string_view kCommonFlags[] = {"data", "json", "no-start", "help"};

std::string Hint(std::string_view found, absl::Span<const std::string_view> words, std::string_view before = "") {
  std::string_view near = NearestWord(found, words);
  return near.empty() ? "" : absl::StrCat("; did you mean \"", std::string(before), std::string(near), "\"?");
}

// JSON is text: what is no UTF-8 would become something else on its way (RFC 8259 §8.1).
bool IsText(const std::string& text) {
  auto marks = [](const std::string& s) {
    size_t n = 0;
    for (size_t at = s.find("\xef\xbf\xbd"); at != s.npos; at = s.find("\xef\xbf\xbd", at + 3)) ++n;
    return n;
  };
  return marks(host::QuoteJson(text)) == marks(text);
}

// The value as JSON; nothing if it does not fit the type.
std::optional<std::string> ToJson(const Param& p, const std::string& text) {
  switch (p.type) {
    case ParamType::kUint: {
      uint64_t n = 0;
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
      if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
      return std::to_string(n);
    }
    case ParamType::kBytes: {
      std::optional<uint64_t> n = sidecar::ParseBytes(text);
      return n ? std::optional(std::to_string(*n)) : std::nullopt;
    }
    case ParamType::kBool:
      if (text != "true" && text != "false") return std::nullopt;
      return text;
    case ParamType::kChoice: {
      std::vector<std::string> words = absl::StrSplit(std::string(p.choices), ' ');
      if (std::find(words.begin(), words.end(), text) == words.end()) return std::nullopt;
      return host::QuoteJson(text);
    }
    case ParamType::kAddress:
      if (!Endpoint::Parse(text)) return std::nullopt;
      return host::QuoteJson(text);
    case ParamType::kKey:
      if (!(text.size() == 64 && FromHex(text)) && text.size() != 52) return std::nullopt;
      return host::QuoteJson(text);
    case ParamType::kTopic:
    case ParamType::kText:
      if (!IsText(text)) return std::nullopt;
      return host::QuoteJson(text);
  }
  return std::nullopt;
}

std::string Expected(const Param& p) {
  switch (p.type) {
    case ParamType::kUint: return "a whole number";
    case ParamType::kBytes: return "a size such as 65536 or 64KiB";
    case ParamType::kBool: return "true or false";
    case ParamType::kChoice: return absl::StrCat("one of ", absl::StrReplaceAll(std::string(p.choices), {{" ", ", "}}));
    case ParamType::kAddress: return "an address such as 127.0.0.1:49737";
    case ParamType::kKey: return "a key: 64 hex digits, or 52 of z-base-32";
    case ParamType::kTopic:
    case ParamType::kText: return "text in UTF-8 (bytes go to dht put as --encoding hex)";
  }
  return "";
}

// Finds the operation at the front of `args`; `used` words name it.
const Operation* FindSpoken(const Args& args, size_t& used, Complaint& complaint) {
  if (args.size() > 1) {
    const std::string words = absl::StrCat(args[0], ".", args[1]);
    for (const OtherWords& other : kOtherWords) {
      if (other.said == words) return used = 2, sidecar::FindOperation(other.meant);
    }
    if (const Operation* o = sidecar::FindOperation(words)) return used = 2, o;
  }
  if (const Operation* o = sidecar::FindOperation(args[0])) return used = 1, o;
  std::vector<std::string_view> members;
  for (const Operation& o : sidecar::Operations()) {
    if (o.name.starts_with(args[0] + ".")) members.push_back(o.name.substr(args[0].size() + 1));
  }
  for (const OtherWords& other : kOtherWords) {
    if (other.said.starts_with(args[0] + ".")) members.push_back(other.said.substr(args[0].size() + 1));
  }
  if (!members.empty()) {
    complaint.help = absl::StrCat("orchard ", args[0], " --help");
    std::string found = args.size() > 1 ? args[1] : "";
    complaint.message = found.empty() || found[0] == '-'
        ? absl::StrCat("orchard ", args[0], " needs one more word: ", absl::StrJoin(members, ", ", [](std::string* s, std::string_view w) { s->append(w); }))
        : absl::StrCat("\"", args[0], "\" has no \"", found, "\"", Hint(found, members, args[0] + " "));
    return nullptr;
  }
  std::vector<std::string_view> commands = Commands();
  complaint = {absl::StrCat("unknown command \"", args[0], "\"", Hint(args[0], commands)), "orchard help"};
  return nullptr;
}

}  // namespace

absl::Span<const OtherWords> AllOtherWords() { return kOtherWords; }

std::string Spoken(const Operation& operation) { return absl::StrReplaceAll(std::string(operation.name), {{".", " "}}); }

bool ParseOperation(const Args& args, OperationCall& call, Complaint& complaint) {
  size_t used = 0;
  call.operation = FindSpoken(args, used, complaint);
  if (call.operation == nullptr) return false;
  const Operation& operation = *call.operation;
  complaint.help = absl::StrCat("orchard ", Spoken(operation), " --help");
  auto complain = [&](std::string message) { return complaint.message = std::move(message), false; };

  std::vector<std::optional<std::string>> values(operation.params.size());
  std::function<bool(size_t, const std::string&)> set = [&](size_t i, const std::string& text) {
    const Param& p = operation.params[i];
    if (values[i]) return complain(absl::StrCat("\"", std::string(p.name), "\" is given twice"));
    // The node has another working directory than whoever names a file.
    const bool module = operation.name.starts_with("cage.") && p.name == "module" && !text.empty() && !text.starts_with("example:") && !(text.size() == 64 && FromHex(text));
    const bool directory = operation.name == "cage.deploy" && p.name == "files" && !text.empty();
    std::error_code none;
    if (module && std::filesystem::is_directory(text, none)) {
      std::string wrong;
      const std::optional<SiteDir> dir = ReadSiteDir(text, wrong);
      if (!dir.has_value()) return complain(wrong);
      const auto settings = std::find_if(operation.params.begin(), operation.params.end(), [](const Param& x) { return x.name == "settings"; });
      if (settings != operation.params.end() && !dir->settings.empty() && !set(size_t(settings - operation.params.begin()), dir->settings)) return false;
      values[i] = ToJson(p, dir->module);
    } else {
      values[i] = ToJson(p, module || directory ? std::filesystem::absolute(text).lexically_normal().string() : text);
    }
    if (!values[i]) return complain(absl::StrCat(std::string(p.name), ": found ", p.secret ? "something else" : host::QuoteJson(text), "; expected ", Expected(p)));
    return true;
  };
  bool only_positional = false;
  for (size_t a = used; a < args.size(); ++a) {
    const std::string& arg = args[a];
    if (!only_positional && arg == "--") {
      only_positional = true;
      continue;
    }
    if (!only_positional && (arg == "-h" || arg == "--help")) return call.help = true;
    if (only_positional || arg.size() < 3 || !arg.starts_with("--")) {
      const auto letter = std::find_if(operation.params.begin(), operation.params.end(), [&](const Param& p) { return p.letter != 0 && arg == std::string{'-', p.letter}; });
      if (!only_positional && letter != operation.params.end()) {
        if (a + 1 == args.size()) return complain(absl::StrCat(arg, " needs a value"));
        if (!set(size_t(letter - operation.params.begin()), args[++a])) return false;
        continue;
      }
      if (!only_positional && arg.size() > 1 && arg[0] == '-') return complain(absl::StrCat("unknown option \"", arg, "\""));
      size_t i = 0;
      while (i < values.size() && (!operation.params[i].positional || values[i])) ++i;
      if (i == values.size()) return complain(absl::StrCat("\"", arg, "\" is one word too many; quote a text with spaces"));
      if (!set(i, arg)) return false;
      continue;
    }
    size_t equals = arg.find('=');
    std::string name = arg.substr(2, equals == arg.npos ? arg.npos : equals - 2);
    std::optional<std::string> value = equals == arg.npos ? std::nullopt : std::optional(arg.substr(equals + 1));
    if (name == "json" && !value) { call.json = true; continue; }
    if (name == "no-start" && !value) { call.no_start = true; continue; }
    std::string plain = name.starts_with("no-") ? name.substr(3) : name;
    auto is = [&](const std::string& n) { return [&n](const Param& p) { return absl::StrReplaceAll(std::string(p.name), {{"_", "-"}}) == n; }; };
    auto p = std::find_if(operation.params.begin(), operation.params.end(), is(name));
    if (p == operation.params.end() && plain != name) {
      p = std::find_if(operation.params.begin(), operation.params.end(), is(plain));
      if (p != operation.params.end() && (p->type != ParamType::kBool || value)) p = operation.params.end();
      if (p != operation.params.end()) value = "false";
    }
    if (p == operation.params.end() && value && (name == "json" || name == "no-start")) return complain(absl::StrCat("--", name, " takes no value"));
    if (p == operation.params.end() && name != "data") {
      std::vector<std::string_view> words(std::begin(kCommonFlags), std::end(kCommonFlags));
      for (const Param& known : operation.params) words.push_back(known.name);
      return complain(absl::StrCat("unknown option \"--", name, "\"", Hint(name, words, "--")));
    }
    if (!value && p != operation.params.end() && p->type == ParamType::kBool) value = "true";
    if (!value) {
      if (a + 1 == args.size()) return complain(absl::StrCat("--", name, " needs a value"));
      value = args[++a];
    }
    if (name == "data" && p == operation.params.end()) {
      if (value->empty()) return complain("--data needs a directory");
      call.data_dir = *value;
    } else if (!set(size_t(p - operation.params.begin()), *value)) {
      return false;
    }
  }
  std::string json;
  for (size_t i = 0; i < values.size(); ++i) {
    const Param& p = operation.params[i];
    if (!values[i] && p.required) return complain(absl::StrCat("\"", std::string(p.name), "\" is missing: ", std::string(p.says)));
    if (values[i]) absl::StrAppend(&json, json.empty() ? "" : ",", host::QuoteJson(p.name), ":", *values[i]);
  }
  call.params = absl::StrCat("{", json, "}");
  return true;
}

}  // namespace orchard::cli
