// A CGI program in C++ with its standard library: counts the words of the body, the commonest first.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

int main() {
  std::map<std::string, int> counts;
  std::string word;
  for (int c; (c = std::getchar()) != EOF;) {
    if (std::isalnum(c)) word += char(std::tolower(c));
    else if (!word.empty()) ++counts[word], word.clear();
  }
  if (!word.empty()) ++counts[word];
  std::vector<std::pair<std::string, int>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::printf("Content-Type: text/plain\n\n");
  for (const auto& [text, n] : sorted) std::printf("%d %s\n", n, text.c_str());
}
