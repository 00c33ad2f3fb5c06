#include "node/host/certificate.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/base/status_macros.h"
#include "node/host/os.h"
#include "node/http/url.h"

namespace orchard::host {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using File = std::unique_ptr<FILE, int (*)(FILE*)>;

bool IsAddress(const std::string& name) {
  in6_addr scratch;
  return inet_pton(AF_INET, name.c_str(), &scratch) == 1 || inet_pton(AF_INET6, name.c_str(), &scratch) == 1;
}

std::vector<std::string> AllNames(absl::Span<const std::string> names) {
  std::vector<std::string> all = {"localhost", "127.0.0.1", "::1"};
  all.insert(all.end(), names.begin(), names.end());
  return all;
}

bool StillGood(const TlsFiles& files, const std::vector<std::string>& names) {
  const File in(fopen(files.certificate.c_str(), "re"), fclose);
  if (in == nullptr || access(files.key.c_str(), R_OK) != 0) return false;
  const Certificate x(PEM_read_X509(in.get(), nullptr, nullptr, nullptr), X509_free);
  ERR_clear_error();
  if (x == nullptr) return false;
  int days = 0, seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, nullptr, X509_get0_notAfter(x.get())) != 1 || days < kCertificateRenewDays) return false;
  for (const std::string& n : names) {
    if ((IsAddress(n) ? X509_check_ip_asc(x.get(), n.c_str(), 0) : X509_check_host(x.get(), n.c_str(), n.size(), 0, nullptr)) != 1) return false;
  }
  return TlsContext::Open(files).ok();
}

void AddExtension(X509* x, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, x, x, nullptr, nullptr, 0);
  X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
  CHECK(e != nullptr && X509_add_ext(x, e, -1) == 1);
  X509_EXTENSION_free(e);
}

Certificate Make(EVP_PKEY* key, const std::vector<std::string>& names) {
  Certificate x(X509_new(), X509_free);
  X509_set_version(x.get(), 2);
  // Browsers refuse a second certificate with the serial number of a first.
  uint8_t serial[16];
  CHECK_EQ(RAND_bytes(serial, sizeof serial), 1);
  serial[0] &= 0x7f;
  BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x.get()));
  BN_free(number);
  X509_gmtime_adj(X509_getm_notBefore(x.get()), -3600);  // Of clients whose clock is a little behind.
  X509_gmtime_adj(X509_getm_notAfter(x.get()), long{kCertificateDays} * 86'400);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x.get()), "CN", MBSTRING_ASC, reinterpret_cast<const uint8_t*>("Orchard development"), -1, -1, 0);
  X509_set_issuer_name(x.get(), X509_get_subject_name(x.get()));
  X509_set_pubkey(x.get(), key);
  std::string alternatives;
  for (const std::string& n : names) absl::StrAppend(&alternatives, alternatives.empty() ? "" : ",", IsAddress(n) ? "IP:" : "DNS:", n);
  AddExtension(x.get(), NID_subject_alt_name, alternatives);
  AddExtension(x.get(), NID_basic_constraints, "critical,CA:FALSE");
  AddExtension(x.get(), NID_key_usage, "critical,digitalSignature");
  AddExtension(x.get(), NID_ext_key_usage, "serverAuth");
  CHECK(X509_sign(x.get(), key, EVP_sha256()) > 0);
  return x;
}

// Under another name first, so that whoever reads sees the whole or nothing.
template <class Write>
absl::Status WriteFile(const std::string& path, Write write) {
  const std::string fresh = path + ".new";
  unlink(fresh.c_str());
  Fd fd(open(fresh.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  if (!fd.ok()) return ErrnoStatus(errno, fresh);
  const File out(fdopen(fd.get(), "w"), fclose);
  if (out == nullptr) return ErrnoStatus(errno, fresh);
  fd.Release();
  if (!write(out.get()) || fflush(out.get()) != 0 || fsync(fileno(out.get())) != 0 || rename(fresh.c_str(), path.c_str()) != 0) return ErrnoStatus(errno, path);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TlsFiles> DevelopmentCertificate(const std::string& directory, absl::Span<const std::string> names) {
  const TlsFiles files{directory + "/cert.pem", directory + "/key.pem"};
  for (const std::string& n : names) {
    // They become words of a configuration of OpenSSL's, where a comma would begin another.
    const auto name = http::Authority::Parse(n, 443);
    if (!IsAddress(n) && (!name.ok() || name->host.size() != n.size() || n.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") != n.npos)) {
      return absl::InvalidArgumentError(absl::StrCat("no host name for a certificate: \"", n, "\""));
    }
  }
  const std::vector<std::string> all = AllNames(names);
  if (StillGood(files, all)) return files;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat(directory, ": ", error.message()));
  chmod(directory.c_str(), 0700);
  const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  CHECK(key != nullptr);
  const Certificate x = Make(key.get(), all);
  RETURN_IF_ERROR(WriteFile(files.key, [&](FILE* out) { return PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1; }));
  RETURN_IF_ERROR(WriteFile(files.certificate, [&](FILE* out) { return PEM_write_X509(out, x.get()) == 1; }));
  return files;
}

}  // namespace orchard::host
