// CHECK: an invariant that we keep. In release too. What the network says is never checked so; it is parsed.
#pragma once

#include <sstream>
#include <string>

namespace orchard::internal {

[[noreturn]] void CheckFailed(const char* file, int line, const std::string& what);

template <class A, class B>
std::string Describe(const char* text, const A& a, const B& b) {
  std::ostringstream out;
  out << text << " (" << +a << " against " << +b << ")";
  return out.str();
}

}  // namespace orchard::internal

#define CHECK(condition) \
  (__builtin_expect(!(condition), 0) ? ::orchard::internal::CheckFailed(__FILE__, __LINE__, #condition) : void())
#define ORCHARD_CHECK_OP(op, a, b)                                        \
  do {                                                                    \
    const auto& check_a = (a);                                            \
    const auto& check_b = (b);                                            \
    if (__builtin_expect(!(check_a op check_b), 0))                       \
      ::orchard::internal::CheckFailed(__FILE__, __LINE__,                \
          ::orchard::internal::Describe(#a " " #op " " #b, check_a, check_b)); \
  } while (0)
#define CHECK_EQ(a, b) ORCHARD_CHECK_OP(==, a, b)
#define CHECK_NE(a, b) ORCHARD_CHECK_OP(!=, a, b)
#define CHECK_LT(a, b) ORCHARD_CHECK_OP(<, a, b)
#define CHECK_LE(a, b) ORCHARD_CHECK_OP(<=, a, b)
#define CHECK_GT(a, b) ORCHARD_CHECK_OP(>, a, b)
#define CHECK_GE(a, b) ORCHARD_CHECK_OP(>=, a, b)
