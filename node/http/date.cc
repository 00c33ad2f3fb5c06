#include "node/http/date.h"

#include <algorithm>

namespace orchard::http {
namespace {

constexpr int64_t kDay = 86'400, kLast = 253'402'300'799;  // 9999-12-31 23:59:59.
constexpr std::string_view kDays = "ThuFriSatSunMonTueWed", kMonths = "MarAprMayJunJulAugSepOctNovDecJanFeb";

void TwoDigits(char* at, int64_t n) { at[0] = char('0' + n / 10), at[1] = char('0' + n % 10); }

}  // namespace

std::string ImfFixdate(int64_t unix_seconds) {
  const int64_t t = std::clamp<int64_t>(unix_seconds, 0, kLast);
  const int64_t days = t / kDay, second = t % kDay;
  // The proleptic Gregorian calendar, in eras of 400 years that begin on 1 March, so that leap days come last: in months from March
  // on, the first m have (153 m + 2) / 5 days. 1970-01-01 is day 719468 of the era of year 0.
  const int64_t z = days + 719'468, era = z / 146'097, day_of_era = z % 146'097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month = (5 * day_of_year + 2) / 153, day = day_of_year - (153 * month + 2) / 5 + 1;
  const int64_t year = era * 400 + year_of_era + (month >= 10 ? 1 : 0);  // January and February are of the next.
  std::string out = "Thu, 01 Jan 1970 00:00:00 GMT";
  kDays.copy(out.data(), 3, size_t(days % 7) * 3);
  kMonths.copy(out.data() + 8, 3, size_t(month) * 3);
  TwoDigits(&out[5], day), TwoDigits(&out[12], year / 100), TwoDigits(&out[14], year % 100);
  TwoDigits(&out[17], second / 3600), TwoDigits(&out[20], second / 60 % 60), TwoDigits(&out[23], second % 60);
  return out;
}

int64_t UnixSeconds(const Turn& turn) {
  return std::chrono::floor<std::chrono::seconds>(turn.now.time_since_epoch() + turn.unix_epoch).count();
}

void AddDate(HeaderList& headers, int64_t unix_seconds) {
  if (!headers.Has("Date")) headers.Add("Date", ImfFixdate(unix_seconds));
}

}  // namespace orchard::http
