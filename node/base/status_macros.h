// ASSIGN_OR_RETURN(Reply reply, DecodeReply(bytes)); RETURN_IF_ERROR(Write(…));
#pragma once

#include "absl/status/statusor.h"

#define ORCHARD_CONCAT_INNER(a, b) a##b
#define ORCHARD_CONCAT(a, b) ORCHARD_CONCAT_INNER(a, b)

#define ASSIGN_OR_RETURN(lhs, expression) ORCHARD_ASSIGN_OR_RETURN(ORCHARD_CONCAT(status_or_, __LINE__), lhs, expression)
#define ORCHARD_ASSIGN_OR_RETURN(temporary, lhs, expression) \
  auto temporary = (expression);                             \
  if (!temporary.ok()) return std::move(temporary).status(); \
  lhs = *std::move(temporary)

#define RETURN_IF_ERROR(expression)                             \
  do {                                                          \
    if (absl::Status s = (expression); !s.ok()) return s;       \
  } while (0)
