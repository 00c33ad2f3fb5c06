// Protomux: channels, each with its own types of messages, over one stream of messages (secret-stream). A channel exists when
// both sides have opened the same (protocol, id); they are matched first come, first served. Messages may be sent at once.
//
// A turn of the parent:
//   for each stream message: mux.OnMessage(bytes, news, out);
//   for each item of news: act: Open what RemoteOpened asks for, or Keep it for a later turn; Send, Close;
//   mux.EndTurn(out): what was neither opened nor kept is rejected, and the answers to a batch leave as one batch;
//   each string of `out` is one message for the stream.
// After an error of OnMessage the stream is to be destroyed. The mux has no timers and draws nothing.
// Source: npm protomux 3.12.1 index.js. Where JavaScript has no limit we have one; each is named below.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "node/base/bytes.h"
#include "node/wire/reader.h"

namespace orchard::protomux {

// Never given twice in the life of a mux.
enum class ChannelId : uint64_t {};

// ---- News. Spans are valid until the turn ends. ----

// The other side opened what nobody opened here. Its messages wait for the answer.
struct RemoteOpened { std::string_view protocol; Bytes id, handshake; };
// Both sides have opened it. `handshake` is the other side's.
struct ChannelOpened { ChannelId channel; Bytes handshake; };
// By the other side; with `rejected`, it was never open there.
struct ChannelClosed { ChannelId channel; bool rejected; };
// `type` is the sender's number; one that the protocol does not know is to be ignored.
struct ChannelMessage { ChannelId channel; uint32_t type; Bytes bytes; };

using Item = std::variant<RemoteOpened, ChannelOpened, ChannelClosed, ChannelMessage>;
struct News {
  std::vector<Item> list;
  std::vector<std::vector<uint8_t>> kept;  // What the spans of messages that waited point to.
};

// Messages for the stream, in order.
using Out = std::vector<std::string>;

struct OpenRequest {
  std::string_view protocol;
  Bytes id{};         // Perhaps empty.
  Bytes handshake{};  // As the protocol encodes it; perhaps nothing.
  // Other names of `protocol`. The frame carries the main one, so both sides need the other's.
  absl::Span<const std::string_view> aliases{};
  // No second channel of the same name while one is open.
  bool unique = true;
};

class Mux {
 public:
  // Of either side. A remote open beyond is rejected, a local one refused.
  static constexpr size_t kChannelsMax = 16384;
  // Remote channels that wait for an answer, in all and of one name; more are rejected. A peer may open a channel for each of
  // its cores in one batch, but of one name it needs one.
  static constexpr size_t kWaitingMax = 4096, kWaitingOfOneName = 64;
  // Names that nobody uses are not stored: such an open is rejected.
  static constexpr size_t kProtocolMax = 256, kIdMax = 256;
  // Of a batch. A JavaScript writer has no such bound but starts anew at 8 MiB; an item costs us some 60 bytes of news.
  static constexpr size_t kBatchItemsMax = 1u << 18;
  // A batch that has reached it is sent. Source: MAX_BATCH.
  static constexpr size_t kBatchMax = 8u << 20;
  // Messages for waiting channels, each counted with 512 bytes more: above the first paused() says so (MAX_BUFFERED), above
  // the second (one message of the stream may bring so much) the stream is destroyed.
  static constexpr size_t kBufferedPause = 32768, kBufferedMax = kBufferedPause + (16u << 20);
  // The largest stream message, and the largest body that fits with its numbers.
  static constexpr size_t kStreamMessageMax = (1u << 24) - 1 - 17, kBodyMax = kStreamMessageMax - 64;

  // Our side of a channel. If the other side waits for it, ChannelOpened and what it has sent follow in `news`. Nothing if the
  // name is taken (see unique) or there are too many.
  std::optional<ChannelId> Open(const OpenRequest& request, News& news, Out& out);
  // At most kBodyMax bytes. Nothing happens if the channel is gone: it may have been closed a moment ago.
  void Send(ChannelId channel, uint32_t type, Bytes body, Out& out);
  // No news.
  void Close(ChannelId channel, Out& out);
  bool exists(ChannelId channel) const { return Find(channel) != nullptr; }
  // Both sides have opened it.
  bool opened(ChannelId channel) const;

  // From here until the matching Uncork everything is gathered in one message. Nests.
  void Cork() { ++corks_; }
  void Uncork(Out& out);

  // kInvalidArgument: the other side does not keep the protocol.
  absl::Status OnMessage(Bytes message, News& news, Out& out);
  // What RemoteOpened told of stays undecided beyond this turn: a later Open or Refuse answers.
  void Keep(std::string_view protocol, Bytes id);
  void Refuse(std::string_view protocol, Bytes id, Out& out);
  void EndTurn(Out& out);

  // Too much waits for kept channels: take no more from the stream until it is false again.
  bool paused() const { return buffered_ > kBufferedPause; }
  // Ours that are open, and theirs that wait.
  size_t channels() const { return open_; }
  size_t waiting() const { return waiting_.size(); }

 private:
  // A message that came before its channel was opened here. `own` is its copy if it outlives the turn.
  struct Early {
    uint32_t type;
    Bytes bytes;
    std::vector<uint8_t> own;
  };
  // A remote channel that nobody opened here yet.
  struct Waiting {
    uint32_t name;
    bool kept = false;
    Bytes handshake;
    std::vector<uint8_t> own_handshake;
    std::vector<Early> early;
  };
  // All that bears one (protocol, id), aliases included. Gone when nothing does.
  struct Name {
    uint32_t open = 0;
    std::vector<uint32_t> incoming;  // Remote ids that wait, in order.
    std::vector<uint32_t> outgoing;  // Slots of ours that the other side has not answered, in order; perhaps closed by now.
    std::vector<std::string> keys;
  };
  // Ours. The id on the wire is the index plus one. `id` is zero if the channel is closed; `pending` while the other side has
  // not answered, which holds the slot.
  struct Slot {
    ChannelId id{};
    uint32_t name = 0;
    uint32_t remote = 0;
    bool pending = false;
  };
  // Theirs, by remote id minus one.
  struct Remote {
    enum class State : uint8_t { kFree, kWaiting, kOpen } state = State::kFree;
    uint32_t slot = 0;
  };

  const Slot* Find(ChannelId channel) const;
  void Write(uint32_t local_id, Bytes head, Bytes body, Out& out);
  void WriteControl(uint8_t type, uint32_t id, Out& out);
  void FlushBatch(Out& out);
  uint32_t FindOrMakeName(const std::string& key, absl::Span<const std::string> aliases);
  void Collect(uint32_t name);
  void Match(uint32_t slot, uint32_t remote_id, Bytes handshake, News& news);
  void CloseSlot(uint32_t slot);
  void Reject(uint32_t remote_id, Out& out);

  absl::Status OnFrame(uint64_t remote_id, wire::Reader& r, bool in_batch, News& news, Out& out);
  absl::Status OnControl(uint64_t type, wire::Reader& r, bool in_batch, News& news, Out& out);
  absl::Status OnBatch(wire::Reader& r, News& news, Out& out);
  absl::Status OnOpen(wire::Reader& r, News& news, Out& out);
  absl::Status OnReject(wire::Reader& r, News& news);
  absl::Status OnClose(wire::Reader& r, News& news, Out& out);

  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;      // Slots, the last one first.
  std::vector<Remote> remotes_;
  absl::btree_map<uint32_t, Waiting> waiting_;       // By remote id.
  std::vector<uint32_t> arrived_;                    // Remote ids that began to wait in this turn, in order.
  absl::btree_map<std::string, uint32_t> keys_;      // protocol ‖ "##" ‖ hex(id), to an index of names_.
  absl::btree_map<uint32_t, Name> names_;
  uint32_t next_name_ = 0, next_channel_ = 0;
  size_t open_ = 0, buffered_ = 0;
  uint32_t corks_ = 0, turn_corks_ = 0;
  uint32_t batch_channel_ = 0;      // Of the last item in batch_.
  std::string batch_;
};

}  // namespace orchard::protomux
