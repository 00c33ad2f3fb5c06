// A certificate for those who have none: self-signed, made once, for one's own machine and whoever is told to trust it.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "node/host/tls.h"

namespace orchard::host {

inline constexpr int kCertificateDays = 397;     // As long as browsers bear (CA/Browser Forum, Baseline Requirements 6.3.2).
inline constexpr int kCertificateRenewDays = 30;  // With fewer left, another is made.

// In `directory`, which is made if need be: cert.pem and key.pem, mode 0600; ECDSA on P-256, for localhost, 127.0.0.1, ::1 and `names` (host
// names or addresses). Those that are there are taken if they are for all of these and do not expire soon.
absl::StatusOr<TlsFiles> DevelopmentCertificate(const std::string& directory, absl::Span<const std::string> names);

}  // namespace orchard::host
