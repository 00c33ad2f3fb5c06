// SQL in a value: what closes the literal that a careless site would put it in, and goes on.

#include <algorithm>
#include <array>

#include "node/guard/rules.h"
#include "node/guard/text.h"

namespace orchard::guard {
namespace {

constexpr size_t kOperandMax = 48;

// A place in a text; what it takes, it takes or leaves whole.
struct Cursor {
  std::string_view s;
  size_t at = 0;

  char now(size_t ahead = 0) const { return at + ahead < s.size() ? s[at + ahead] : '\0'; }
  bool done() const { return at >= s.size(); }
  // At most 16: nobody needs more, and thousands in a row must not be run over from each of them.
  Cursor& Skip(std::string_view any) {
    for (int n = 0; n < 16 && !done() && any.find(s[at]) != any.npos; ++n) ++at;
    return *this;
  }
  bool Take(std::string_view text) {
    if (s.substr(at, text.size()) != text) return false;
    at += text.size();
    return true;
  }
  // A whole word.
  bool Word(std::string_view word) {
    if (s.substr(at, word.size()) != word || IsWord(now(word.size()))) return false;
    at += word.size();
    return true;
  }
  template <size_t n>
  bool AnyWord(const std::string_view (&words)[n]) {
    return std::any_of(std::begin(words), std::end(words), [&](std::string_view w) { return Word(w); });
  }
};

enum class Kind { kNone, kNumber, kQuoted, kName };
struct Operand {
  Kind kind = Kind::kNone;
  std::string_view text;  // Without quotes.
};

Operand TakeOperand(Cursor& c) {
  const size_t from = c.at;
  if (IsQuote(c.now())) {
    const char quote = c.now();
    const std::string_view rest = c.s.substr(from + 1, kOperandMax);
    const size_t end = rest.find(quote);
    if (end == rest.npos && from + 1 + rest.size() < c.s.size()) return {};
    c.at = from + 1 + std::min(end, rest.size()) + (end == rest.npos ? 0 : 1);
    return {Kind::kQuoted, rest.substr(0, end)};  // The last one's closing quote is the site's.
  }
  if (c.now() == '-' || c.now() == '+' || c.now() == '@') ++c.at;
  while (c.at - from < kOperandMax && (IsWord(c.now()) || c.now() == '.' || c.now() == '@')) ++c.at;
  const std::string_view text = c.s.substr(from, c.at - from);
  if (text.empty() || !IsWord(text.back())) return {};
  return {std::all_of(text.begin(), text.end(), [](char x) { return IsDigit(x) || x == '.' || x == '-' || x == '+'; }) ? Kind::kNumber : Kind::kName, text};
}

bool TakeLogic(Cursor& c) { return c.Take("||") || c.Take("&&") || c.AnyWord({"or", "and", "xor"}); }

bool TakeComparison(Cursor& c) {
  if (c.now() == '=' || c.now() == '<' || c.now() == '>' || (c.now() == '!' && c.now(1) == '=')) {
    c.Skip("=<>!");
    return true;
  }
  return c.AnyWord({"like", "rlike", "regexp", "between", "is"});
}

bool AtComment(const Cursor& c) { return (c.now() == '-' && c.now(1) == '-') || c.now() == '#' || (c.now() == '/' && c.now(1) == '*'); }

// Behind a quote that nothing opened.
const char* BehindQuote(Cursor c) {
  c.Skip(" )");
  if (c.now() == ';' || AtComment(c)) {
    Cursor rest = c;
    if (AtComment(rest.Skip("; ")) && rest.Skip("-#/*+ ").done()) return "comment behind a quote";
  }
  Cursor order = c;
  if (order.Word("order") && order.Skip(" ").Word("by") && IsDigit(order.Skip(" ").now())) return "order by behind a quote";
  if (!TakeLogic(c)) return nullptr;
  c.Skip(" (!~");
  if (c.Word("not")) c.Skip(" (");
  const Operand left = TakeOperand(c);
  c.Skip(" )");
  if (left.kind == Kind::kNone) return nullptr;
  if (TakeComparison(c)) return "condition behind a quote";
  if ((left.kind == Kind::kNumber || left.text == "true") && AtComment(c)) return "condition behind a quote";
  return nullptr;
}

// "or 1=1", "and 'a'='a": of constants, which only an attacker compares.
bool IsTautology(Cursor c) {
  if (!TakeLogic(c) || (!IsDigit(c.Skip(" (").now()) && !IsQuote(c.now()))) return false;
  const Operand left = TakeOperand(c);
  if (!c.Skip(" ").Take("=")) return false;
  const Operand right = TakeOperand(c.Skip(" ("));
  if (left.kind != right.kind) return false;
  return left.kind == Kind::kNumber || (left.kind == Kind::kQuoted && left.text == right.text);
}

// "union select" is also what a credit union's committee does: something to select must follow.
bool IsUnion(Cursor c) {
  if (!c.Word("union")) return false;
  c.Skip(" (");
  if (c.AnyWord({"all", "distinct"})) c.Skip(" (");
  if (!c.Word("select")) return false;
  c.Skip(" (");
  if (c.now() == '*' || c.Word("null") || c.Take("@@")) return true;
  const Operand first = TakeOperand(c);
  if (first.kind == Kind::kNumber || first.kind == Kind::kQuoted) return true;
  if (first.kind == Kind::kNone) return false;
  if (c.now() == '(') return true;
  c.Skip(" ");
  return c.now() == ',' || c.Word("from") || first.text.starts_with("0x");
}

// Behind a semicolon: a statement that does harm, in words that a sentence does not have in this order.
bool IsStatement(Cursor c) {
  c.Skip(" ");
  if (c.AnyWord({"drop", "truncate", "alter", "create"})) {
    return c.Skip(" ").AnyWord({"table", "database", "schema", "user", "login", "role", "view", "index", "procedure", "function"}) && IsWord(c.Skip(" `\"").now());
  }
  if (c.Word("delete")) {
    if (!c.Skip(" ").Word("from")) return false;
    c.Skip(" `\"");
    if (TakeOperand(c).kind != Kind::kName) return false;
    c.Skip(" `\"");
    return c.done() || c.now() == ';' || AtComment(c) || c.Word("where");
  }
  if (c.Word("insert")) {
    if (!c.Skip(" ").Word("into")) return false;
    c.Skip(" `\"");
    if (TakeOperand(c).kind != Kind::kName) return false;
    c.Skip(" `\"");
    return c.now() == '(' || c.AnyWord({"values", "select"});
  }
  if (c.Word("update")) {
    c.Skip(" `\"");
    return TakeOperand(c).kind == Kind::kName && c.Skip(" `\"").Word("set");
  }
  if (c.AnyWord({"exec", "execute"})) return c.Skip(" (").Take("xp_") || c.Take("sp_") || c.now() == '\'' || c.now() == '@';
  if (c.Word("select")) return c.Skip(" ").Take("sleep(") || c.Take("pg_sleep(");
  if (c.Word("shutdown")) return c.Skip(" ;").done() || AtComment(c);
  if (c.Word("declare")) return c.Skip(" ").now() == '@';
  return c.Word("waitfor") && c.Skip(" ").Word("delay");
}

// What is never said in a query but to a database.
constexpr const char* kSaid[] = {"information_schema.", "into outfile", "into dumpfile", "load_file(", "waitfor delay", "xp_cmdshell", "pg_sleep(",
                                 "benchmark(", "extractvalue(", "updatexml(", "dbms_pipe.", "utl_inaddr.", "utl_http.", "sqlite_master", "@@version", "and sleep(",
                                 "or sleep(", "select sleep(", "+sleep(", "-sleep(", "'sleep(", "(sleep(", "randomblob(", "pg_catalog."};

}  // namespace

const char* FindSqli(std::string_view text, bool prose) {
  if (text.find_first_of("'\"`=;(*,@_") == text.npos && text.find("union ") == text.npos) return nullptr;
  std::array<bool, 3> open{};  // A quote of each kind: an odd one is the first of two, or closes what the site has opened.
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (IsQuote(c)) {
      bool& is_open = open[c == '\'' ? 0 : c == '"' ? 1 : 2];
      is_open = !is_open;
      if (is_open) {
        if (const char* what = BehindQuote({text, i + 1})) return what;
      }
    } else if (c == ';') {
      if (IsStatement({text, i + 1})) return "statement behind a semicolon";
    } else if ((c == 'o' || c == 'a' || c == 'x' || c == '|' || c == '&') && (i == 0 || !IsWord(text[i - 1]))) {
      if (IsTautology({text, i})) return "comparison of constants";
    } else if (c == 'u' && (i == 0 || !IsLetter(text[i - 1]))) {
      if (IsUnion({text, i})) return "union select";
    }
  }
  if (prose) return nullptr;
  for (const char* said : kSaid) {
    if (text.find(said) != text.npos) return said;
  }
  return nullptr;
}

}  // namespace orchard::guard
