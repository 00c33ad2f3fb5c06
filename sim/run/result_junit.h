// Results for other programs and for tables: JUnit XML, the first difference of two runs, a matrix of cases.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/language/loader.h"

namespace orchard::sim {

struct JunitCase {
  std::string name, of_case, failure;  // failure: empty if it held.
  int64_t wall_micro = 0;
};
struct JunitSuite {
  std::string name;
  std::vector<JunitCase> cases;
};
// A test case per claim of a result.json, and one for the run itself if it has notes.
void AddClaims(JunitSuite& suite, const Json& result);
std::string JunitText(const std::vector<JunitSuite>& suites);

// Empty if the fingerprints of two results agree; else where they first part: `between 1:42 and 1:43 …`.
std::string FirstDifference(const Json& a, const Json& b);

// A letter a cell; one that failed is printed `✗≠P`. Empty if the file has no matrix.
std::string MatrixTable(const Suite& suite, const Json& sum);

}  // namespace orchard::sim
