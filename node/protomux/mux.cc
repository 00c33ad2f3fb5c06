#include "node/protomux/mux.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "node/base/check.h"
#include "node/base/status_macros.h"
#include "node/secret_stream/secret_stream.h"
#include "node/wire/writer.h"

namespace orchard::protomux {
namespace {

static_assert(Mux::kStreamMessageMax == secret_stream::SecretStream::kMessageMax);

// Types of channel 0.
constexpr uint8_t kBatch = 0, kOpen = 1, kReject = 2, kClose = 3;
// What a message that waits is counted for beyond its bytes. Source: byteSize().
constexpr size_t kEarlyOverhead = 512;

absl::Status Broken(const std::string& why) { return absl::InvalidArgumentError("protomux: " + why); }

std::string Key(std::string_view protocol, Bytes id) { return std::string(protocol) + "##" + ToHex(id); }

void AppendUint(uint64_t x, std::string& out) {
  wire::Writer w;
  w.Uint(x);
  out.append(AsText(w.bytes()));
}

size_t UintSize(uint64_t x) { return x < 0xfd ? 1 : x <= 0xffff ? 3 : x <= 0xffffffff ? 5 : 9; }

// Makes `bytes` outlive the turn.
void Own(Bytes& bytes, std::vector<uint8_t>& own) {
  if (bytes.empty() || !own.empty()) return;
  own.assign(bytes.begin(), bytes.end());
  bytes = own;
}

}  // namespace

// ---- Ours ----

std::optional<ChannelId> Mux::Open(const OpenRequest& request, News& news, Out& out) {
  std::vector<std::string> aliases;
  for (std::string_view alias : request.aliases) aliases.push_back(Key(alias, request.id));
  const uint32_t name_index = FindOrMakeName(Key(request.protocol, request.id), aliases);
  Name& name = names_.at(name_index);
  if ((request.unique && name.open > 0) || slots_.size() - free_.size() >= kChannelsMax) {
    Collect(name_index);
    return std::nullopt;
  }

  uint32_t slot = uint32_t(slots_.size());
  if (free_.empty()) slots_.emplace_back();
  else slot = free_.back(), free_.pop_back();
  // The slot's index in the lower half: from the id to the slot without a search.
  const ChannelId id{uint64_t{++next_channel_} << 32 | slot};
  slots_[slot] = {.id = id, .name = name_index, .pending = true};
  ++name.open, ++open_;

  wire::Writer open;
  open.U8(kOpen), open.Uint(slot + 1), open.String(request.protocol), open.Buffer(request.id);
  Write(0, open.bytes(), request.handshake, out);

  if (name.incoming.empty()) {
    name.outgoing.push_back(slot);
    return id;
  }
  const uint32_t remote_id = name.incoming.front();
  name.incoming.erase(name.incoming.begin());
  Waiting waiting = std::move(waiting_.at(remote_id));
  waiting_.erase(remote_id);
  Match(slot, remote_id, waiting.handshake, news);
  if (!waiting.own_handshake.empty()) news.kept.push_back(std::move(waiting.own_handshake));
  for (Early& early : waiting.early) {
    buffered_ -= kEarlyOverhead + early.bytes.size();
    news.list.push_back(ChannelMessage{id, early.type, early.bytes});
    if (!early.own.empty()) news.kept.push_back(std::move(early.own));
  }
  return id;
}

void Mux::Send(ChannelId channel, uint32_t type, Bytes body, Out& out) {
  CHECK_LE(body.size(), kBodyMax);
  const Slot* slot = Find(channel);
  if (slot == nullptr) return;
  wire::Writer head;
  head.Uint(type);
  Write(uint32_t(slot - slots_.data()) + 1, head.bytes(), body, out);
}

void Mux::Close(ChannelId channel, Out& out) {
  const Slot* found = Find(channel);
  if (found == nullptr) return;
  const uint32_t slot = uint32_t(found - slots_.data());
  CloseSlot(slot);
  WriteControl(kClose, slot + 1, out);
}

bool Mux::opened(ChannelId channel) const {
  const Slot* slot = Find(channel);
  return slot != nullptr && !slot->pending;
}

const Mux::Slot* Mux::Find(ChannelId channel) const {
  const uint64_t slot = uint64_t(channel) & std::numeric_limits<uint32_t>::max();
  return channel != ChannelId{} && slot < slots_.size() && slots_[slot].id == channel ? &slots_[slot] : nullptr;
}

// ---- Writing ----

// One frame: the channel's number, then `head` and `body`. In a batch the number stands once for a run of frames.
void Mux::Write(uint32_t local_id, Bytes head, Bytes body, Out& out) {
  const size_t size = head.size() + body.size();
  if (corks_ == 0) {
    std::string& frame = out.emplace_back();
    frame.reserve(UintSize(local_id) + size);
    AppendUint(local_id, frame), frame.append(AsText(head)), frame.append(AsText(body));
    return;
  }
  // JavaScript starts anew at 8 MiB only, and a batch beyond what the stream takes then fails.
  if (batch_.size() >= kBatchMax || batch_.size() + size + 16 > kStreamMessageMax) FlushBatch(out);
  if (batch_.empty()) {
    AppendUint(0, batch_), AppendUint(kBatch, batch_), AppendUint(local_id, batch_);
  } else if (batch_channel_ != local_id) {
    AppendUint(0, batch_), AppendUint(local_id, batch_);
  }
  batch_channel_ = local_id;
  AppendUint(size, batch_), batch_.append(AsText(head)), batch_.append(AsText(body));
}

void Mux::WriteControl(uint8_t type, uint32_t id, Out& out) {
  wire::Writer w;
  w.U8(type), w.Uint(id);
  Write(0, w.bytes(), {}, out);
}

void Mux::Uncork(Out& out) {
  CHECK_GT(corks_, 0u);
  if (--corks_ == 0) FlushBatch(out);
}

void Mux::FlushBatch(Out& out) {
  if (!batch_.empty()) out.push_back(std::exchange(batch_, std::string()));
}

// ---- Names and slots ----

// What the other side opened under an alias, and nobody here, becomes this name. Two names of ours never become one: the other
// side, which may not know the alias, would match their channels differently.
uint32_t Mux::FindOrMakeName(const std::string& key, absl::Span<const std::string> aliases) {
  auto found = keys_.find(key);
  for (auto alias = aliases.begin(); found == keys_.end() && alias != aliases.end(); ++alias) {
    const auto it = keys_.find(*alias);
    if (it == keys_.end()) continue;
    const Name& other = names_.at(it->second);
    if (other.open == 0 && other.outgoing.empty() && other.keys.size() == 1) found = it;
  }
  const uint32_t index = found != keys_.end() ? found->second : next_name_++;
  Name& name = names_[index];
  auto add = [&](const std::string& k) {
    if (keys_.emplace(k, index).second) name.keys.push_back(k);
  };
  add(key);
  for (const std::string& alias : aliases) add(alias);
  return index;
}

void Mux::Collect(uint32_t index) {
  const auto it = names_.find(index);
  const Name& name = it->second;
  if (name.open > 0 || !name.incoming.empty() || !name.outgoing.empty()) return;
  for (const std::string& key : name.keys) keys_.erase(key);
  names_.erase(it);
}

void Mux::Match(uint32_t slot, uint32_t remote_id, Bytes handshake, News& news) {
  remotes_[remote_id - 1] = {Remote::State::kOpen, slot};
  slots_[slot].remote = remote_id, slots_[slot].pending = false;
  news.list.push_back(ChannelOpened{slots_[slot].id, handshake});
}

// Ours is closed. Its number is free at once if the other side has answered; else when it does.
void Mux::CloseSlot(uint32_t index) {
  Slot& slot = slots_[index];
  Name& name = names_.at(slot.name);
  --name.open, --open_;
  slot.id = {};
  if (slot.pending) return;
  remotes_[slot.remote - 1] = {};
  free_.push_back(index);
  Collect(slot.name);
}

// Of a channel that waits, or of one that is not even stored.
void Mux::Reject(uint32_t remote_id, Out& out) {
  if (const auto it = waiting_.find(remote_id); it != waiting_.end()) {
    for (const Early& early : it->second.early) buffered_ -= kEarlyOverhead + early.bytes.size();
    const uint32_t index = it->second.name;
    waiting_.erase(it);
    remotes_[remote_id - 1] = {};
    std::vector<uint32_t>& incoming = names_.at(index).incoming;
    incoming.erase(std::find(incoming.begin(), incoming.end(), remote_id));
    Collect(index);
  }
  WriteControl(kReject, remote_id, out);
}

// ---- Theirs ----

absl::Status Mux::OnMessage(Bytes message, News& news, Out& out) {
  if (message.empty()) return absl::OkStatus();  // A keep-alive.
  wire::Reader r(message);
  const uint64_t remote_id = r.Uint();
  return OnFrame(remote_id, r, false, news, out);
}

absl::Status Mux::OnFrame(uint64_t remote_id, wire::Reader& r, bool in_batch, News& news, Out& out) {
  const uint64_t type = r.Uint();
  RETURN_IF_ERROR(r.status());
  if (remote_id == 0) return OnControl(type, r, in_batch, news, out);
  // Of a closed channel: perhaps it was under way.
  if (remote_id > remotes_.size() || type > std::numeric_limits<uint32_t>::max()) return absl::OkStatus();
  const Remote& remote = remotes_[remote_id - 1];
  const Bytes body = r.Raw();
  if (remote.state == Remote::State::kOpen) {
    news.list.push_back(ChannelMessage{slots_[remote.slot].id, uint32_t(type), body});
  } else if (remote.state == Remote::State::kWaiting) {
    buffered_ += kEarlyOverhead + body.size();
    if (buffered_ > kBufferedMax) return Broken("too much for channels that nobody opened");
    waiting_.at(uint32_t(remote_id)).early.push_back({uint32_t(type), body, {}});
  }
  return absl::OkStatus();
}

absl::Status Mux::OnControl(uint64_t type, wire::Reader& r, bool in_batch, News& news, Out& out) {
  switch (type) {
    case kBatch: return in_batch ? Broken("a batch in a batch") : OnBatch(r, news, out);
    case kOpen: return OnOpen(r, news, out);
    case kReject: return OnReject(r, news);
    case kClose: return OnClose(r, news, out);
    default: return absl::OkStatus();
  }
}

absl::Status Mux::OnBatch(wire::Reader& r, News& news, Out& out) {
  uint64_t remote_id = r.Uint();
  for (size_t items = 0; r.ok() && r.remaining() > 0;) {
    const uint64_t size = r.Uint();
    if (size == 0) {
      remote_id = r.Uint();
      continue;
    }
    if (size > r.remaining()) return Broken("a batch is cut off");
    // The answers to more than one message leave as one batch, too: when the turn ends.
    if (++items == 1 && size < r.remaining()) Cork(), ++turn_corks_;
    if (items > kBatchItemsMax) return Broken("too many messages in a batch");
    wire::Reader item(r.Take(size));
    RETURN_IF_ERROR(OnFrame(remote_id, item, true, news, out));
  }
  return r.status();
}

absl::Status Mux::OnOpen(wire::Reader& r, News& news, Out& out) {
  const uint64_t remote_id = r.Uint();
  const std::string_view protocol = AsText(r.Buffer());
  const Bytes id = r.Buffer();
  RETURN_IF_ERROR(r.status());
  const Bytes handshake = r.Raw();
  if (remote_id == 0 || remote_id > remotes_.size() + 1) return Broken(absl::StrCat("an open of channel ", remote_id, " of ", remotes_.size()));
  if (remote_id == remotes_.size() + 1) {
    if (remotes_.size() == kChannelsMax) return Reject(uint32_t(remote_id), out), absl::OkStatus();
    remotes_.emplace_back();
  }
  Remote& remote = remotes_[remote_id - 1];
  if (remote.state != Remote::State::kFree) return Broken(absl::StrCat("an open of channel ", remote_id, ", which is open"));
  if (protocol.size() > kProtocolMax || id.size() > kIdMax) return Reject(uint32_t(remote_id), out), absl::OkStatus();

  const std::string key = Key(protocol, id);
  const auto it = keys_.find(key);
  if (it != keys_.end() && !names_.at(it->second).outgoing.empty()) {
    const uint32_t index = it->second;
    Name& name = names_.at(index);
    const uint32_t slot = name.outgoing.front();
    name.outgoing.erase(name.outgoing.begin());
    if (slots_[slot].id != ChannelId{}) return Match(slot, uint32_t(remote_id), handshake, news), absl::OkStatus();
    // We have closed it since; the other side learns that from our close.
    slots_[slot].pending = false;
    free_.push_back(slot);
    Collect(index);
    return absl::OkStatus();
  }

  if (waiting_.size() >= kWaitingMax || (it != keys_.end() && names_.at(it->second).incoming.size() >= kWaitingOfOneName)) {
    return Reject(uint32_t(remote_id), out), absl::OkStatus();
  }
  const uint32_t index = FindOrMakeName(key, {});
  names_.at(index).incoming.push_back(uint32_t(remote_id));
  Waiting& waiting = waiting_[uint32_t(remote_id)];
  waiting.name = index, waiting.handshake = handshake;
  remote.state = Remote::State::kWaiting;
  arrived_.push_back(uint32_t(remote_id));
  news.list.push_back(RemoteOpened{protocol, id, handshake});
  return absl::OkStatus();
}

absl::Status Mux::OnReject(wire::Reader& r, News& news) {
  const uint64_t local_id = r.Uint();
  RETURN_IF_ERROR(r.status());
  if (local_id == 0 || local_id > slots_.size() || !slots_[local_id - 1].pending) return Broken("a reject of what was not asked");
  const uint32_t index = uint32_t(local_id) - 1;
  Slot& slot = slots_[index];
  std::vector<uint32_t>& outgoing = names_.at(slot.name).outgoing;
  outgoing.erase(std::find(outgoing.begin(), outgoing.end(), index));
  if (slot.id != ChannelId{}) {
    news.list.push_back(ChannelClosed{slot.id, true});
    CloseSlot(index);
  }
  slot.pending = false;
  free_.push_back(index);
  Collect(slot.name);
  return absl::OkStatus();
}

absl::Status Mux::OnClose(wire::Reader& r, News& news, Out& out) {
  const uint64_t remote_id = r.Uint();
  RETURN_IF_ERROR(r.status());
  if (remote_id == 0 || remote_id > remotes_.size()) return absl::OkStatus();
  const Remote remote = remotes_[remote_id - 1];
  if (remote.state == Remote::State::kOpen) {
    news.list.push_back(ChannelClosed{slots_[remote.slot].id, false});
    CloseSlot(remote.slot);
  } else if (remote.state == Remote::State::kWaiting) {
    // JavaScript forgets the close and opens a channel that nobody holds. The reject frees the other side's number.
    Reject(uint32_t(remote_id), out);
  }
  return absl::OkStatus();
}

void Mux::Keep(std::string_view protocol, Bytes id) {
  const auto it = keys_.find(Key(protocol, id));
  if (it == keys_.end()) return;
  for (uint32_t remote_id : names_.at(it->second).incoming) waiting_.at(remote_id).kept = true;
}

void Mux::Refuse(std::string_view protocol, Bytes id, Out& out) {
  const auto it = keys_.find(Key(protocol, id));
  if (it == keys_.end()) return;
  const std::vector<uint32_t> incoming = names_.at(it->second).incoming;
  for (uint32_t remote_id : incoming) Reject(remote_id, out);
}

void Mux::EndTurn(Out& out) {
  for (uint32_t remote_id : std::exchange(arrived_, {})) {
    if (const auto it = waiting_.find(remote_id); it != waiting_.end() && !it->second.kept) Reject(remote_id, out);
  }
  for (auto& [remote_id, waiting] : waiting_) {
    Own(waiting.handshake, waiting.own_handshake);
    for (Early& early : waiting.early) Own(early.bytes, early.own);
  }
  for (; turn_corks_ > 0; --turn_corks_) Uncork(out);
}

}  // namespace orchard::protomux
