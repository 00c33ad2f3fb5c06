#include "sim/run/runner_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "node/base/json_writer.h"
#include "node/http/failure.h"
#include "node/http/refusal.h"
#include "node/sidecar/params.h"
#include "sim/language/client_operations.h"
#include "sim/language/grammar.h"
#include "sim/language/text.h"

namespace orchard::sim {
namespace {

// "first-byte-timeout" → "ERR_FIRST_BYTE_TIMEOUT".
std::string CodeOf(http::Failure why) {
  std::string out = Cat("ERR_", http::NameOf(why));
  std::replace(out.begin(), out.end(), '-', '_');
  return absl::AsciiStrToUpper(out);
}

}  // namespace

void WithClients::Handle(Turn& turn, const Input& input) {
  http::GetNews news;
  Drips::News drips;
  if (std::holds_alternative<Deadline>(input)) {
    if (inner_->next_deadline() <= turn.now) inner_->Handle(turn, input);
    gets_.OnTime(turn, ids_, news);
    drips_.OnTime(turn, drips);
  } else if (const auto* call = std::get_if<OpCall>(&input); call != nullptr && FindClientOperation(call->name) != nullptr) {
    OnCall(turn, *call, news, drips);
  } else if (const auto* gone = std::get_if<OpCancelled>(&input); gone != nullptr && gets_.Cancel(turn, http::GetId{uint32_t(gone->op)})) {
    asked_.erase(http::GetId{uint32_t(gone->op)});
  } else if (gone != nullptr && drips_.Cancel(turn, gone->op)) {
    dripped_.erase(gone->op);
  } else if (!gets_.OnInput(turn, ids_, input, news) && !drips_.OnInput(turn, ids_, input, drips)) {
    if (std::holds_alternative<Stop>(input)) gets_.Clear(turn), asked_.clear(), drips_.Clear(turn), dripped_.clear();  // As programs end when a computer shuts down.
    inner_->Handle(turn, input);
  }
  for (size_t i = 0; i < news.size(); ++i) Answer(turn, http::GetDone(news[i]), news);
  for (const Drips::Done& done : drips) Answer(turn, done);
}

void WithClients::OnCall(Turn& turn, const OpCall& call, http::GetNews& news, Drips::News& drips) {
  auto parsed = sidecar::Params::Parse(*FindClientOperation(call.name), call.params);
  if (const auto* wrong = std::get_if<sidecar::ParamError>(&parsed)) return Fail(turn, call.op, "ERR_PARAMS", wrong->message);
  const auto& p = std::get<sidecar::Params>(parsed);
  // Of those that are a length of time; the loader has seen those that the file states.
  bool sound = true;
  const auto time = [&](std::string_view word) -> std::optional<Duration> {
    const auto text = p.text(word);
    if (!text.has_value()) return std::nullopt;
    const std::optional<Quantity> q = ParseQuantity(*text);
    sound &= q.has_value() && q->unit == Unit::kDuration && q->value > 0;
    return sound ? std::optional(Duration(q->value)) : std::nullopt;
  };
  const std::string host(p.text("host").value_or(""));
  if (!http::IsFieldValue(host) && !host.empty()) return Fail(turn, call.op, "ERR_PARAMS", Cat("\"", host, "\" is no header value"));
  if (call.name == "http.drip") {
    const auto url = http::Url::Parse(p.text("url").value_or(""));
    DripRequest request{.url = url.value_or(http::Url{}), .host = host, .every = time("every").value_or(std::chrono::seconds(1)), .most = time("most").value_or(std::chrono::seconds(60))};
    if (!url.ok() || url->https || !sound) return Fail(turn, call.op, "ERR_PARAMS", "a drip has a URL without TLS, and lengths of time such as \"500ms\"");
    dripped_.emplace(call.op, url->ToString());
    return drips_.Start(turn, ids_, call.op, std::move(request), drips);
  }
  Asked asked{.request = {.url = std::string(p.text("url").value_or("")), .host = host, .range = std::string(p.text("range").value_or("")), .proxy = {}, .head = false, .patience = {}}, .other = std::string(p.text("or").value_or("")), .began = turn.now};
  if (const auto proxy = p.text("proxy"); proxy.has_value()) {
    asked.request.proxy = Endpoint::Parse(*proxy == "pod" ? kPodProxy : std::string_view(*proxy));
    if (!asked.request.proxy.has_value()) return Fail(turn, call.op, "ERR_PARAMS", Cat("a proxy is \"pod\" or an address, not \"", *proxy, "\""));
  }
  if (const auto patience = time("patience"); patience.has_value()) asked.request.patience.connect = asked.request.patience.first_byte = asked.request.patience.stall = *patience;
  if (!sound) return Fail(turn, call.op, "ERR_PARAMS", "patience is a length of time such as \"500ms\"");
  const http::GetId get{uint32_t(call.op)};
  gets_.Start(turn, ids_, get, asked_.emplace(get, std::move(asked)).first->second.request, news);
}

void WithClients::Fail(Turn& turn, OpId op, std::string_view code, std::string_view message) {
  JsonWriter w;
  w.Open('{').Key("tag").Text("final").Key("data").Open('{').Key("ok").Bool(false).Key("code").Text(code).Key("message").Text(message);
  w.Close('}').Close('}');
  turn.out.Final(op, AsBytes(w.text()));
}

void WithClients::Answer(Turn& turn, const http::GetDone& done, http::GetNews& news) {
  const http::GetResult& r = done.result;
  Asked& asked = asked_.at(done.get);
  const bool nothing_came = r.status == 0 && r.why != http::Failure::kNone && r.why != http::Failure::kBadUrl && r.why != http::Failure::kTooMany;
  if (nothing_came && !asked.other.empty()) {
    asked.request.url = std::exchange(asked.other, "");
    return gets_.Start(turn, ids_, done.get, asked.request, news);
  }
  const std::string url = asked.request.url;
  const Duration before = turn.now - asked.began - r.took;  // Until this URL was asked.
  asked_.erase(done.get);
  // Nanoseconds are millionths of a millisecond, bits a second are millionths of a megabit.
  auto ms = [](Duration d) { return Decimal(d.count(), 6); };
  JsonWriter w;
  w.Open('{').Key("tag").Text("final").Key("data").Open('{').Key("ok").Bool(r.ok());
  if (!r.ok()) {
    w.Key("code").Text(r.why != http::Failure::kNone ? CodeOf(r.why) : Cat("ERR_STATUS_", r.status));
    w.Key("message").Text(r.refusal != http::Refusal::kNone ? Cat(url, ": ", http::NameOf(r.refusal), ", after ", r.bytes, " bytes") : Cat(url, ", after ", r.bytes, " bytes"));
  }
  w.Key("url").Text(url).Key("bytes").Uint(r.bytes).Key("sha256").Hex(r.sha256).Key("ms").Raw(ms(before + r.took));
  if (r.status != 0) w.Key("status").Uint(uint64_t(r.status)).Key("first_byte_ms").Raw(ms(before + r.first_byte));
  if (r.bytes > 0) w.Key("gap_ms").Raw(ms(r.longest_gap));
  if (r.ok() && r.took > Duration::zero()) {
    w.Key("mbps").Raw(Decimal(int64_t(static_cast<unsigned __int128>(r.bytes) * 8'000'000'000 / uint64_t(r.took.count())), 6));
  }
  w.Close('}').Close('}');
  turn.out.Final(OpId{uint32_t(done.get)}, AsBytes(w.text()));
}

void WithClients::Answer(Turn& turn, const Drips::Done& done) {
  static constexpr std::string_view kCodes[] = {"", "ERR_HELD", "ERR_NO_NAME", "ERR_UNREACHABLE", "ERR_TOO_MANY"};
  const std::string url = dripped_.extract(done.op).mapped();
  JsonWriter w;
  w.Open('{').Key("tag").Text("final").Key("data").Open('{').Key("ok").Bool(done.end == Drips::End::kClosed);
  if (done.end != Drips::End::kClosed) w.Key("code").Text(kCodes[size_t(done.end)]).Key("message").Text(Cat(url, ", after ", done.bytes, " bytes"));
  w.Key("url").Text(url).Key("bytes").Uint(done.bytes).Key("ms").Raw(Decimal(done.took.count(), 6));
  if (done.status != 0) w.Key("status").Uint(uint64_t(done.status));
  w.Close('}').Close('}');
  turn.out.Final(done.op, AsBytes(w.text()));
}

}  // namespace orchard::sim
