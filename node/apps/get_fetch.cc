#include "node/apps/get_fetch.h"

#include <curl/curl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "node/http/range.h"
#include "node/pod/proxy_client.h"

namespace orchard::cli {

using namespace std::chrono_literals;

struct GetFetch::Connection {
  GetFetch* fetch;
  int index;
  size_t uplink;
  CURL* curl = nullptr;
  curl_slist* proxy_headers = nullptr;
  std::thread thread;
  // Of the request under way.
  std::optional<GetPlan::Range> range;
  bool probe = false, head_done = false, superseded = false;
  long status = 0;                     // Of the latest head: the proxy's, then the origin's.
  std::string content_range, etag, modified, date, location, proxy_status;
  std::optional<uint64_t> length;
  std::string error;                   // In words; empty: none.
  char curls_words[CURL_ERROR_SIZE] = "";
  bool final = false;                  // The error is everybody's.
  size_t thrown = 0;                   // Bytes of a redirect's own text.
  double rate = 0;
  curl_socket_t socket = CURL_SOCKET_BAD;
};

namespace {

bool IsHttps(const std::string& url) { return http::EqualsIgnoringCase(std::string_view(url).substr(0, 8), "https://"); }

// What the proxy's word for a failure (RFC 9209) means for who asked.
std::string Explain(const std::string& proxy_status) {
  const size_t at = proxy_status.find("error=");
  const std::string word = at == proxy_status.npos ? "" : proxy_status.substr(at + 6);
  if (word == "dns_error") return "nobody is called so";
  if (word == "destination_ip_prohibited") return "it is a private address, which members do not reach for others (pod.allow_private)";
  if (word == "http_request_denied") return "members relay only TLS, to port 443 or from 1024 on";
  if (word == "connection_limit_reached") return "the member carries as many connections as it may";
  if (word == "connection_refused") return "nobody listens there";
  if (word == "connection_timeout") return "nobody answered";
  if (word == "destination_unavailable") return "the member is gone, or relays nothing";
  return word.empty() ? "the proxy refused" : word;
}

}  // namespace

GetFetch::GetFetch(GetOptions options) : options_(std::move(options)), url_(options_.url) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  for (const std::string& id : options_.uplinks) uplinks_.push_back({.id = id});
}

GetFetch::~GetFetch() {
  for (auto& c : connections_) {
    if (c->thread.joinable()) c->thread.join();
    if (c->curl != nullptr) curl_easy_cleanup(c->curl);
    curl_slist_free_all(c->proxy_headers);
  }
}

double GetFetch::Now() const { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::optional<uint64_t> GetFetch::size() { std::lock_guard lock(mutex_); return size_; }
uint64_t GetFetch::bytes() { std::lock_guard lock(mutex_); return bytes_; }
std::vector<GetUplink> GetFetch::uplinks() { std::lock_guard lock(mutex_); return uplinks_; }
bool GetFetch::ranged() { std::lock_guard lock(mutex_); return kind_ == Kind::kRanges; }

// ---- What comes ----

size_t GetFetch::HeaderCallback(char* data, size_t one, size_t size, void* user) {
  Connection& c = *static_cast<Connection*>(user);
  const std::string_view line(data, one * size);
  if (line.starts_with("HTTP/")) {
    const size_t space = line.find(' ');
    c.status = space == line.npos ? 0 : std::strtol(std::string(line.substr(space + 1, 3)).c_str(), nullptr, 10);
    c.content_range.clear(), c.etag.clear(), c.modified.clear(), c.date.clear(), c.location.clear(), c.proxy_status.clear(), c.length.reset(), c.head_done = false;
    return line.size();
  }
  const size_t colon = line.find(':');
  if (colon == line.npos) return line.size();
  const std::string_view name = line.substr(0, colon);
  const std::string value(absl::StripAsciiWhitespace(absl::string_view(line.data() + colon + 1, line.size() - colon - 1)));
  if (http::EqualsIgnoringCase(name, "Content-Range")) c.content_range = value;
  if (http::EqualsIgnoringCase(name, "ETag")) c.etag = value;
  if (http::EqualsIgnoringCase(name, "Last-Modified")) c.modified = value;
  if (http::EqualsIgnoringCase(name, "Date")) c.date = value;
  if (http::EqualsIgnoringCase(name, "Location")) c.location = value;
  if (http::EqualsIgnoringCase(name, "Proxy-Status")) c.proxy_status = value;
  uint64_t n = 0;
  if (http::EqualsIgnoringCase(name, "Content-Length") && std::from_chars(value.data(), value.data() + value.size(), n).ec == std::errc()) c.length = n;
  return line.size();
}

// RFC 9110 §15.4. What the first request is told; later, whoever is sent elsewhere fails.
bool GetFetch::Redirects(const Connection& c) const { return c.probe && !c.head_done && c.status / 100 == 3 && c.status != 304 && !c.location.empty(); }

// The origin's head is there: is it what was asked for? Under the lock.
bool GetFetch::OnHead(Connection& c) {
  c.head_done = true;
  auto fail = [&](std::string why, bool final) { return c.error = std::move(why), c.final = final, false; };
  if (!IsHttps(url_) && !c.proxy_status.empty()) return fail(Explain(c.proxy_status), true);  // No server answered.
  // An empty file has no first byte (RFC 9110 §15.5.17), and what else the server may mean, the whole will tell.
  if (c.probe && c.range.has_value() && c.status == 416) return kind_ = Kind::kStateless, false;
  // Later, a server may have had enough of one of us only.
  if (c.status != 200 && c.status != 206) return fail(absl::StrCat("the server answered ", c.status), c.probe);
  const auto part = http::ContentRange::Parse(c.content_range);
  const bool is_part = c.status == 206 && part.has_value() && part->range.has_value() && part->size.has_value();
  if (c.probe) {
    if (c.status == 206 && (!is_part || part->range->first != 0)) return fail("the server answered with another part than the one asked for", true);
    if (is_part) {
      http::HeaderList state;
      for (const auto& [field, text] : {std::pair("ETag", &c.etag), std::pair("Last-Modified", &c.modified), std::pair("Date", &c.date)}) {
        if (!text->empty()) state.Add(field, *text);
      }
      const http::Validator named = http::Validator::Of(state);  // Strong ones alone.
      etag_ = named.etag, modified_ = named.last_modified;
      const bool all = part->range->last + 1 == *part->size, same = !etag_.empty() || !modified_.empty() || !options_.sha256.empty();
      if (!all && !same) return kind_ = Kind::kStateless, false;
    }
    kind_ = is_part ? Kind::kRanges : Kind::kWhole;
    size_ = is_part ? part->size : c.length;
    if (kind_ == Kind::kRanges) {
      plan_.emplace(*size_, 0);
      plan_->Take(c.index, 0, Now());
    }
    changed_.notify_all();
    return true;
  }
  if (!is_part) return fail("the file changed on the server meanwhile; ask again", c.status == 200);
  // Of several servers with one name, one may be ahead; whoever meets it fails alone.
  if (part->size != size_ || part->range->first != c.range->first || (etag_.empty() ? !modified_.empty() && c.modified != modified_ : c.etag != etag_)) return fail("the file changed on the server meanwhile; ask again", false);
  return true;
}

size_t GetFetch::BodyCallback(char* data, size_t one, size_t size, void* user) {
  Connection& c = *static_cast<Connection*>(user);
  return c.fetch->OnBody(c, data, one * size);
}

size_t GetFetch::OnBody(Connection& c, const char* data, size_t size) {
  uint64_t at = 0, wanted = size;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return 0;
    if (Redirects(c)) return (c.thrown += size) > kThrownMax ? 0 : size;  // What it says to people is not the file.
    if (!c.head_done && !OnHead(c)) return 0;
    if (kind_ == Kind::kRanges) at = plan_->at(c.index), wanted = plan_->OnBytes(c.index, size, Now());
    else at = bytes_;
    c.superseded = wanted < size;
    bytes_ = kind_ == Kind::kRanges ? *size_ - plan_->left() : bytes_ + size;
    uplinks_[c.uplink].bytes += wanted;
  }
  for (size_t done = 0; done < wanted;) {
    const ssize_t n = pwrite(options_.fd, data + done, wanted - done, off_t(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      std::lock_guard lock(mutex_);
      c.error = absl::StrCat("cannot write the file: ", std::strerror(errno)), c.final = true;
      return 0;
    }
    done += size_t(n);
  }
  std::lock_guard lock(mutex_);
  if (plan_.has_value() && plan_->over(c.index)) changed_.notify_all();
  return c.superseded ? 0 : size;
}

// ---- Asking ----

// True if the answer was right and all of it came, or the rest is not wanted any more.
bool GetFetch::Ask(Connection& c, std::optional<GetPlan::Range> range) {
  c.range = range, c.error.clear(), c.thrown = 0, c.final = c.superseded = c.head_done = false;
  const GetUplink& uplink = options_.uplinks.empty() ? uplinks_[0] : uplinks_[c.uplink];
  if (c.curl == nullptr) {
    c.curl = curl_easy_init();
    c.proxy_headers = curl_slist_append(nullptr, absl::StrCat(std::string(pod::kUplinkHeader), ": ", uplink.id).c_str());
  }
  CURL* h = c.curl;
  curl_easy_reset(h);  // Keeps its connections.
  curl_slist* headers = nullptr;
  const bool https = IsHttps(url_);
  if (range.has_value()) {
    curl_easy_setopt(h, CURLOPT_RANGE, absl::StrCat(range->first, "-", range->end - 1).c_str());
    const std::string validator = !etag_.empty() ? etag_ : modified_;
    if (!c.probe && !validator.empty()) headers = curl_slist_append(headers, ("If-Range: " + validator).c_str());
  }
  if (!https && !options_.sha256.empty()) headers = curl_slist_append(headers, absl::StrCat(std::string(pod::kSha256Header), ": ", options_.sha256).c_str());
  curl_easy_setopt(h, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(h, CURLOPT_HTTP_VERSION, long(CURL_HTTP_VERSION_1_1));  // One connection each is the point.
  curl_easy_setopt(h, CURLOPT_PROXY, options_.proxy.c_str());
  curl_easy_setopt(h, CURLOPT_NOPROXY, "");                                // Whatever the environment says.
  curl_easy_setopt(h, CURLOPT_HEADEROPT, long(CURLHEADER_SEPARATE));
  if (https) curl_easy_setopt(h, CURLOPT_PROXYHEADER, c.proxy_headers);
  curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(h, CURLOPT_USERAGENT, "orchard");
  if (!options_.cacert.empty()) curl_easy_setopt(h, CURLOPT_CAINFO, options_.cacert.c_str());
  curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT, 30L);
  curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, 30L);
  c.curls_words[0] = 0;
  curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c.curls_words);
  curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, HeaderCallback);
  curl_easy_setopt(h, CURLOPT_HEADERDATA, &c);
  curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, BodyCallback);
  curl_easy_setopt(h, CURLOPT_WRITEDATA, &c);
  // So that Stop can wake who waits for an answer that nobody wants any more.
  curl_easy_setopt(h, CURLOPT_OPENSOCKETDATA, &c);
  curl_easy_setopt(h, CURLOPT_OPENSOCKETFUNCTION, +[](void* user, curlsocktype, curl_sockaddr* a) -> curl_socket_t {
    Connection& c = *static_cast<Connection*>(user);
    std::lock_guard lock(c.fetch->mutex_);
    if (c.fetch->stopping_) return CURL_SOCKET_BAD;
    return c.socket = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
  });
  curl_easy_setopt(h, CURLOPT_CLOSESOCKETDATA, &c);
  curl_easy_setopt(h, CURLOPT_CLOSESOCKETFUNCTION, +[](void* user, curl_socket_t s) -> int {
    Connection& c = *static_cast<Connection*>(user);
    std::lock_guard lock(c.fetch->mutex_);
    if (c.socket == s) c.socket = CURL_SOCKET_BAD;
    return close(s);
  });
  const double began = Now();
  const CURLcode code = curl_easy_perform(h);
  curl_slist_free_all(headers);
  long connect_code = 0;
  curl_easy_getinfo(h, CURLINFO_HTTP_CONNECTCODE, &connect_code);
  char* location = nullptr;
  curl_easy_getinfo(h, CURLINFO_REDIRECT_URL, &location);
  curl_off_t downloaded = 0;
  curl_easy_getinfo(h, CURLINFO_SIZE_DOWNLOAD_T, &downloaded);

  std::lock_guard lock(mutex_);
  if (Now() > began) c.rate = double(downloaded) / (Now() - began);
  if (c.superseded || stopping_ || kind_ == Kind::kStateless) return true;
  if (Redirects(c) && location != nullptr) return kind_ = Kind::kRedirect, redirect_ = location, true;
  if (!c.error.empty()) return false;
  if (plan_.has_value() && !c.probe && plan_->over(c.index)) return true;
  if (code == CURLE_OK && !c.head_done) return OnHead(c);  // An answer without a body.
  if (code == CURLE_OK) return true;
  const char* words = c.curls_words[0] != 0 ? c.curls_words : curl_easy_strerror(code);
  if (connect_code >= 300 || (!https && !c.proxy_status.empty())) {
    c.error = Explain(c.proxy_status);
  } else if (code == CURLE_PEER_FAILED_VERIFICATION) {
    c.error = absl::StrCat("the certificate is not one to trust (", words, "); name its issuer with --cacert FILE if you know it");
    c.final = c.uplink == 0;
  } else {
    c.error = words;
  }
  return false;
}

void GetFetch::Begin(Connection& c) {
  c.probe = true;
  bool ok = Ask(c, IsHttps(url_) ? std::optional(GetPlan::Range{0, GetPlan::kPieceMin}) : std::nullopt);
  std::unique_lock lock(mutex_);
  if (kind_ == Kind::kStateless) {
    kind_ = Kind::kUnknown;
    lock.unlock();
    ok = Ask(c, std::nullopt);
    lock.lock();
  }
  c.probe = false;
  if (kind_ == Kind::kRanges) {
    if (!ok) Failed(c);
    plan_->Release(c.index);
    lock.unlock();
    return Work(c);
  }
  if (!ok) Fail(c.error);
  begun_ = true;
  changed_.notify_all();
}

void GetFetch::Work(Connection& c) {
  std::unique_lock lock(mutex_);
  while (!plan_->complete() && fatal_.empty() && !stopping_ && uplinks_[c.uplink].out.empty()) {
    const auto range = plan_->Take(c.index, c.rate, Now());
    if (!range.has_value()) {
      changed_.wait_for(lock, 100ms);
      continue;
    }
    lock.unlock();
    const bool ok = Ask(c, range);
    lock.lock();
    plan_->Release(c.index);
    if (ok) uplinks_[c.uplink].failures = 0;
    else Failed(c);
    changed_.notify_all();
    if (!ok && fatal_.empty()) changed_.wait_for(lock, 300ms * uplinks_[c.uplink].failures, [&] { return stopping_ || plan_->complete(); });
  }
  changed_.notify_all();
}

// Under the lock.
void GetFetch::Failed(Connection& c) {
  GetUplink& uplink = uplinks_[c.uplink];
  if (c.final) return Fail(c.error);
  if (++uplink.failures < kFailuresMax && c.error.find("certificate") == c.error.npos) return;
  uplink.out = c.error;
  if (std::all_of(uplinks_.begin(), uplinks_.end(), [](const GetUplink& u) { return !u.out.empty(); })) Fail(c.error);
}

void GetFetch::Fail(const std::string& why) {
  if (fatal_.empty()) fatal_ = why;
  changed_.notify_all();
}

void GetFetch::Cancel(std::string_view why) {
  std::lock_guard lock(mutex_);
  Fail(std::string(why));
  Stop();
}

void GetFetch::Stop() {
  stopping_ = true;
  for (auto& c : connections_) {
    if (c->socket != CURL_SOCKET_BAD) shutdown(c->socket, SHUT_RDWR);
  }
  changed_.notify_all();
}

std::string GetFetch::Run(const std::function<void()>& look) {
  auto add = [&](size_t uplink, auto what) {
    auto c = std::make_unique<Connection>();
    c->fetch = this, c->index = int(connections_.size()), c->uplink = uplink;
    Connection& there = *c;
    connections_.push_back(std::move(c));
    there.thread = std::thread([this, &there, what] { (this->*what)(there); });
  };
  size_t first = 0;  // The uplink that begins: the first that works.
  for (size_t hops = 0;;) {
    std::unique_lock lock(mutex_);
    begun_ = false, kind_ = Kind::kUnknown;
    add(first, &GetFetch::Begin);
    while (!begun_ && kind_ != Kind::kRanges) {
      changed_.wait_for(lock, 200ms);
      lock.unlock(), look(), lock.lock();
    }
    if (!fatal_.empty() && !stopping_ && kind_ == Kind::kUnknown && !connections_.back()->final && IsHttps(url_) && first + 1 < uplinks_.size()) {
      uplinks_[first++].out = std::exchange(fatal_, "");
      continue;
    }
    if (kind_ != Kind::kRedirect || !fatal_.empty()) break;
    const bool down = IsHttps(url_) && !IsHttps(redirect_);
    if (down || hops++ == kRedirectsMax) return down ? "the server sends us from https to http" : "the server sends us from one place to the next without end";
    lock.unlock();
    connections_.back()->thread.join();
    url_ = redirect_;
  }
  std::unique_lock lock(mutex_);
  if (kind_ == Kind::kRanges) {
    // In turn over the uplinks, so that few connections use as many of them as there are.
    const size_t each = std::min(kPerUplink, options_.connections == 0 ? 2 : options_.connections);
    const size_t most = std::min(kConnectionsMax, options_.connections == 0 ? 2 * uplinks_.size() : options_.connections);
    size_t there = 1;
    for (size_t round = 0; round < each; ++round) {
      for (size_t u = 0; u < uplinks_.size(); ++u) {
        if ((round == 0 && u == first) || !uplinks_[u].out.empty() || there >= most) continue;
        add(u, &GetFetch::Work), ++there;
      }
    }
    while (!plan_->complete() && fatal_.empty()) {
      changed_.wait_for(lock, 200ms);
      lock.unlock(), look(), lock.lock();
    }
    Stop();
  }
  lock.unlock();
  for (auto& c : connections_) {
    if (c->thread.joinable()) c->thread.join();
  }
  lock.lock();
  if (!fatal_.empty() && !stopping_ && kind_ == Kind::kUnknown && first > 0) return uplinks_[0].out;  // What our own line met says most.
  if (fatal_.empty() && size_.has_value() && bytes_ != *size_) return absl::StrCat("the connection ended after ", bytes_, " of ", *size_, " bytes");
  return fatal_;
}

}  // namespace orchard::cli
