// What the rules find, and above all what they leave alone.

#include "node/guard/rules.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "node/base/rng.h"
#include "node/guard/text.h"

namespace orchard::guard {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

std::string Escape(std::string_view text) {
  std::string out;
  for (unsigned char c : text) absl::StrAppend(&out, "%", absl::Hex(c, absl::kZeroPad2));
  return out;
}
Class OfTarget(std::string_view target) { return JudgeByRules({.method = "GET", .target = target, .headers = {}, .body = {}}).what; }
// As a value of a query, of a form, and of JSON.
Class OfValue(std::string_view value) { return OfTarget("/search?page=2&q=" + Escape(value)); }
Verdict OfBody(std::string_view type, std::string_view body) {
  const Headers headers = {{"Content-Type", std::string(type)}};
  return JudgeByRules({.method = "POST", .target = "/", .headers = headers, .body = body});
}
Verdict OfHeader(std::string name, std::string value) {
  const Headers headers = {{"Host", "shop"}, {std::move(name), std::move(value)}};
  return JudgeByRules({.method = "GET", .target = "/", .headers = headers, .body = {}});
}

constexpr const char* kSqli[] = {
    "' or '1'='1", "' OR 1=1--", "admin'--", "admin' #", "admin'/*", "1 or 1=1", "1) or (1=1", "' or ''='", "x' and 1=1 and 'a'='a", "\" or \"\"=\"", "') or ('a'='a",
    "' || '1'='1", "1' order by 10--", "' union select null,null--", "1 union all select 1,2,3", "-1 UNION/**/SELECT password,2 FROM users", "1 /*!50000union*/ /*!50000select*/ 1,2",
    "1 union(select(1),2)", "'; drop table users--", "1; DROP TABLE orders", "1; delete from users", "1;insert into users values(1)", "1; update users set admin=1", "1; exec xp_cmdshell('dir')",
    "1; waitfor delay '0:0:5'--", "1 and sleep(5)", "1' and pg_sleep(5)--", "1 and extractvalue(1,concat(0x7e,version()))", "x' or not 1=2--", "' or true--", "' or name like '%a%",
    "%27%20or%20%271%27%3D%271", "1 union select table_name from information_schema.tables", "'/**/or/**/1=1#", "\t'\n or\t1 = 1", "x' or email is not null --", "1' and 1=2 union select @@version",
    "'; shutdown --", "0 or 2=2", "a' rlike sleep(5) or 'a'='b' or '1'='1",
};
constexpr const char* kXss[] = {
    "<script>alert(1)</script>", "<ScRiPt src=//evil>", "\"><script>x</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "<body onload = x()>", "\" onmouseover=\"alert(1)",
    "javascript:alert(1)", "JaVaScRiPt:alert`1`", "<a href=\"javascript:alert(1)\">", "<iframe srcdoc=\"<b>\">", "<details open ontoggle=alert(1)>", "%3Cscript%3Ealert(1)%3C/script%3E",
    "<input autofocus onfocus=alert(1)>", "' onfocus='x' autofocus='", "fetch(document.cookie)", "<video><source onerror=\"x\">", "data:text/html,<b>x", "<img src=x\nonerror\n=alert(1)>",
    "<svg><animate onbegin=alert(1)>", "\"/onclick=alert(1) x=\"",
};
constexpr const char* kScan[] = {
    "/.env", "/api/.env", "/.env.production", "/.git/config", "/.GIT/HEAD", "/%2egit/config", "/wp-login.php", "/blog/wp-admin/", "/phpMyAdmin/index.php", "/../../etc/passwd", "/a/../../b",
    "/%2e%2e/%2e%2e/x", "/%252e%252e%252fx", "/..%5c..%5cboot.ini", "/cgi-bin/test.cgi", "/static/%00.html", "/x?file=../../../../etc/passwd", "/x?page=php://filter/convert", "/x?f=..%2f..%2fapp.conf",
    "/xmlrpc.php", "/actuator/health", "/.ssh/id_rsa", "/.well-known/../../secret", "/x?u=file:///etc/hosts", "/x?a=${jndi:ldap://e}", "/HNAP1/",
};
constexpr const char* kInnocentValues[] = {
    "O'Brien", "O'Neill & Sons", "D'Angelo's \"best\" pizza", "select committee", "the credit union select committee", "trade union", "union select", "rock 'n' roll", "rock 'n' roll or pop",
    "it's 5 o'clock", "don't or can't", "Tom's and Jerry's", "I <3 you", "a < b and c > d", "x<y", "1 < 2 or 3 > 2", "drop table reservations", "drop; table", "insert into the slot", "delete from cart",
    "update your profile; set a password", "JavaScript: The Good Parts", "javascript", "on time = money", "\"on time\"", "online=1", "once=2", "order by phone", "'order by phone'",
    "C# or F#", "issue #1", "'#1 song'", "fish -- and chips", "a--b", "--help", "/* not code */", "50% off", "100%", "%", "%zz", "SGVsbG8gV29ybGQh/+8=", "YWJjPT0nIG9y==", "naïve café — “quotes”", "日本語 の 検索",
    "Ünion sélect", "🙂 <3 🙂", "e=mc^2 and f=ma", "price>=10 and price<=20", "status = \"Done\" and project = \"ABC\"", "name:\"O'Hara\" AND year:[1990 TO 2000]", "f(x)=sleep(x)", "2024-01-01T00:00:00+02:00",
    "foo@example.com", "https://example.com/a?b=c&d=e", "../index", "./..", "tel:+49 (0)30 123", "{\"a\":\"b or c\",\"d\":1}", "[1,2,3]", "a;b;c", "x; y = z", "or 1", "1 and 2", "one=1 or two=2",
    "if 'a' then 'b' or 'c'", "document", "cookie", "<b>bold</b>", "<p class=\"on\">x</p>", "<a href=\"/shop\">shop</a>", "# Title\n\n* one\n* two\n\n> quote -- me", "SELECT a seat", "1' 6\" tall", "5'10\" or taller", "it's '90s or '80s",
    "and 'so' on", "Ben & Jerry's || Häagen-Dazs", "grand union canal", "<p one=1>", "\"one=1", "script", "descript>", "<scripture>", "alter ego; create art",
};
constexpr const char* kInnocentTargets[] = {
    "/", "/index.html", "/union/select-your-seat", "/people/O'Brien", "/people/O%27Brien", "/.well-known/acme-challenge/abc", "/a/b/../c", "/a/./b", "/caf%C3%A9", "/%E6%97%A5%E6%9C%AC", "/c++/why", "/environment", "/git/", "/env",
    "/search?q=select+committee", "/search?q=%3C3", "/list?sort=-price&filter%5B%5D=a&filter%5B%5D=b", "/x?", "/x?&&&", "/x?=", "/a;v=1/b", "/a(b)", "/a,b:c@d!e$f*g", "/%", "/100%25", "/wordpress-tips", "/blog/phpmyadmin-alternatives",
    "/docs/containers", "/login?next=%2Faccount%3Ftab%3Dorders", "/img.php?w=1&h=2", "/?utm_source=x&utm_medium=y", "/a?b=1/2", "/#", "/share?url=https%3A%2F%2Fexample.com%2F%3Fa%3Db", "/...", "/..a/b",
};

TEST(RulesTest, WhatInjectsSqlIsFound) {
  for (const char* value : kSqli) {
    EXPECT_EQ(OfValue(value), Class::kSqli) << value;
    EXPECT_EQ(OfBody("application/x-www-form-urlencoded", "a=b&c=" + Escape(value)).what, Class::kSqli) << value;
  }
}

TEST(RulesTest, WhatInjectsScriptsIsFound) {
  for (const char* value : kXss) EXPECT_EQ(OfValue(value), Class::kXss) << value;
  EXPECT_EQ(OfTarget("/hello/%3Cscript%3Ex"), Class::kXss);
}

TEST(RulesTest, WhatLooksForHolesIsFound) {
  for (const char* target : kScan) EXPECT_EQ(OfTarget(target), Class::kScan) << target;
  for (const char* agent : {"sqlmap/1.7", "Mozilla/5.00 (Nikto/2.1.6)", "Mozilla/5.0 (compatible; Nmap Scripting Engine)", "masscan/1.0", "Nuclei - Open-source"}) {
    EXPECT_EQ(OfHeader("User-Agent", agent).what, Class::kScan) << agent;
  }
  EXPECT_EQ(OfHeader("X-Api-Version", "${jNdi:ldap://evil/a}").what, Class::kScan);
  EXPECT_EQ(OfHeader("Accept", "() { :;}; /bin/id").what, Class::kScan);
}

TEST(RulesTest, HeadersAndBodiesAreRead) {
  EXPECT_EQ(OfHeader("user-agent", "' or '1'='1").what, Class::kSqli);
  EXPECT_EQ(OfHeader("Referer", "http://x/?q=%3Cscript%3E").what, Class::kXss);
  EXPECT_EQ(OfHeader("Cookie", "id=1' or '1'='1").what, Class::kSqli);
  EXPECT_EQ(OfBody("application/json", "{\"name\":\"' or '1'='1\"}").what, Class::kSqli);
  EXPECT_EQ(OfBody("application/json", R"({"name":"\u003cscript\u003ex"})").what, Class::kXss);
  EXPECT_EQ(OfBody("text/plain", "hello <img src=x onerror=alert(1)>").what, Class::kXss);
  EXPECT_EQ(OfBody("", "1; drop table users").what, Class::kSqli);
}

TEST(RulesTest, InnocentValuesPass) {
  for (const char* value : kInnocentValues) {
    const Verdict query = JudgeByRules({.method = "GET", .target = "/search?q=" + Escape(value), .headers = {}, .body = {}});
    EXPECT_FALSE(query) << value << ": " << query.matched;
    for (const char* type : {"application/x-www-form-urlencoded", "text/markdown", "application/json", "application/octet-stream"}) {
      const Verdict v = OfBody(type, std::string_view(type).ends_with("encoded") ? "text=" + Escape(value) : std::string(value));
      EXPECT_FALSE(v) << type << " " << value << ": " << v.matched;
    }
  }
}

TEST(RulesTest, InnocentTargetsPass) {
  for (const char* target : kInnocentTargets) {
    const Verdict v = JudgeByRules({.method = "GET", .target = target, .headers = {}, .body = {}});
    EXPECT_FALSE(v) << target << ": " << v.matched;
  }
}

TEST(RulesTest, InnocentHeadersPass) {
  for (const char* agent : {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36", "curl/7.88.1", "python-requests/2.31", "Googlebot/2.1 (+http://www.google.com/bot.html)", ""}) {
    EXPECT_FALSE(OfHeader("User-Agent", agent)) << agent;
  }
  EXPECT_FALSE(OfHeader("Cookie", R"(theme=dark; cart={"items":[{"id":1,"name":"O'Brien"}]}; _ga=GA1.2.3)"));
  EXPECT_FALSE(OfHeader("Referer", "https://www.google.com/search?q=select+committee+o%27brien"));
  EXPECT_FALSE(OfHeader("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"));
  EXPECT_FALSE(OfHeader("If-None-Match", "W/\"0815\", \"x' or y\""));
}

TEST(RulesTest, ProseAboutAttacksIsNoAttack) {
  const std::string post =
      "## Databases\nUse `information_schema.tables` and SELECT ... UNION SELECT in a view. Don't call time.sleep(5) or pg_sleep(1). It's a document.cookie, or \"not\".\n"
      "```js\nfor (let i = 0; i < n && i > 0; i++) { s = 'a' + \"b\"; }\n```\nDrop the table; create a new one. <b>Bold</b> and <a href=\"https://x\">links</a>.";
  EXPECT_FALSE(OfBody("text/markdown", post)) << OfBody("text/markdown", post).matched;
}

TEST(RulesTest, WhatIsBeyondWhatIsReadPasses) {
  EXPECT_EQ(OfTarget("/x?a=" + std::string(kTargetRead, 'a') + "<script>"), Class::kNone);
  EXPECT_EQ(OfBody("text/plain", std::string(kBodyRead, 'a') + "<script>").what, Class::kNone);
  EXPECT_EQ(OfHeader("User-Agent", std::string(kHeaderRead, 'a') + "sqlmap").what, Class::kNone);
}

TEST(RulesTest, AnyBytesAreJudgedAndNoneTakeLong) {
  Rng rng = Rng::Named(1, "bytes", "");
  const std::string alphabet = "'\"`<>()=;/*#- %+\\ou1a&.?\xff";
  for (int n = 0; n < 20'000; ++n) {
    std::string any(rng.Below(200), ' ');
    for (char& c : any) c = rng.Below(4) == 0 ? char(rng.Below(256)) : alphabet[rng.Below(alphabet.size())];
    JudgeByRules({.method = "GET", .target = "/" + any, .headers = {}, .body = any});
    EXPECT_LE(Plain(any, Spelling::kForm, 150).size(), 150u);
    OfBody("application/json", any), OfHeader("Cookie", any);
  }
  // Texts that make each place look ahead as far as it may.
  for (std::string_view unit : {"'", "/*", "<a ", "' or ", "union select ", "or 1=", "on", "<", "%25", "';", "\\u00", "../", "or '"}) {
    std::string many;
    while (many.size() < 100'000) many += unit;
    OfTarget("/x?a=" + many), OfBody("text/plain", many);
  }
}

}  // namespace
}  // namespace orchard::guard
