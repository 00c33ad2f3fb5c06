#include "sim/run/runner_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "node/http/failure.h"
#include "node/http/refusal.h"
#include "node/sidecar/json_writer.h"
#include "node/sidecar/params.h"
#include "sim/language/client_operations.h"
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
  if (std::holds_alternative<Deadline>(input)) {
    if (inner_->next_deadline() <= turn.now) inner_->Handle(turn, input);
    gets_.OnTime(turn, ids_, news);
  } else if (const auto* call = std::get_if<OpCall>(&input); call != nullptr && FindClientOperation(call->name) != nullptr) {
    OnCall(turn, *call, news);
  } else if (const auto* gone = std::get_if<OpCancelled>(&input); gone != nullptr && gets_.Cancel(turn, http::GetId{uint32_t(gone->op)})) {
    urls_.erase(http::GetId{uint32_t(gone->op)});
  } else if (!gets_.OnInput(turn, ids_, input, news)) {
    if (std::holds_alternative<Stop>(input)) gets_.Clear(turn), urls_.clear();  // As programs end when a computer shuts down.
    inner_->Handle(turn, input);
  }
  for (const http::GetDone& done : news) Answer(turn, done);
}

void WithClients::OnCall(Turn& turn, const OpCall& call, http::GetNews& news) {
  auto parsed = sidecar::Params::Parse(*FindClientOperation(call.name), call.params);
  if (const auto* wrong = std::get_if<sidecar::ParamError>(&parsed)) return Fail(turn, call.op, "ERR_PARAMS", wrong->message);
  const auto& p = std::get<sidecar::Params>(parsed);
  http::GetRequest request{.url = p.text("url").value_or(""), .range = p.text("range").value_or(""), .proxy = {}, .head = false, .patience = {}};
  if (const auto proxy = p.text("proxy"); proxy.has_value()) {
    request.proxy = Endpoint::Parse(*proxy == "pod" ? kPodProxy : std::string_view(*proxy));
    if (!request.proxy.has_value()) return Fail(turn, call.op, "ERR_PARAMS", Cat("a proxy is \"pod\" or an address, not \"", *proxy, "\""));
  }
  const http::GetId get{uint32_t(call.op)};
  urls_.emplace(get, request.url);
  gets_.Start(turn, ids_, get, std::move(request), news);
}

void WithClients::Fail(Turn& turn, OpId op, std::string_view code, std::string_view message) {
  sidecar::JsonWriter w;
  w.Open('{').Key("tag").Text("final").Key("data").Open('{').Key("ok").Bool(false).Key("code").Text(code).Key("message").Text(message);
  w.Close('}').Close('}');
  turn.out.Final(op, AsBytes(w.text()));
}

void WithClients::Answer(Turn& turn, const http::GetDone& done) {
  const http::GetResult& r = done.result;
  const std::string url = urls_.extract(done.get).mapped();
  // Nanoseconds are millionths of a millisecond, bits a second are millionths of a megabit.
  auto ms = [](Duration d) { return Decimal(d.count(), 6); };
  sidecar::JsonWriter w;
  w.Open('{').Key("tag").Text("final").Key("data").Open('{').Key("ok").Bool(r.ok());
  if (!r.ok()) {
    w.Key("code").Text(r.why != http::Failure::kNone ? CodeOf(r.why) : Cat("ERR_STATUS_", r.status));
    w.Key("message").Text(r.refusal != http::Refusal::kNone ? Cat(url, ": ", http::NameOf(r.refusal), ", after ", r.bytes, " bytes") : Cat(url, ", after ", r.bytes, " bytes"));
  }
  w.Key("url").Text(url).Key("bytes").Uint(r.bytes).Key("sha256").Hex(r.sha256).Key("ms").Raw(ms(r.took));
  if (r.status != 0) w.Key("status").Uint(uint64_t(r.status)).Key("first_byte_ms").Raw(ms(r.first_byte));
  if (r.bytes > 0) w.Key("gap_ms").Raw(ms(r.longest_gap));
  if (r.ok() && r.took > Duration::zero()) {
    w.Key("mbps").Raw(Decimal(int64_t(static_cast<unsigned __int128>(r.bytes) * 8'000'000'000 / uint64_t(r.took.count())), 6));
  }
  w.Close('}').Close('}');
  turn.out.Final(OpId{uint32_t(done.get)}, AsBytes(w.text()));
}

}  // namespace orchard::sim
