// dht::Rpc alone as a machine: keeps all news, and answers user command 7 with its own value ("echo").
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "node/base/turn.h"
#include "node/dht/rpc.h"

namespace orchard::dht {

inline constexpr uint64_t kEcho = 7;

class RpcMachine final : public Machine {
 public:
  explicit RpcMachine(RpcConfig config) : rpc(std::move(config)) {}

  void Handle(Turn& turn, const Input& input) override {
    News news;
    if (std::holds_alternative<Start>(input)) rpc.OnStart(turn, news);
    if (const auto* o = std::get_if<SocketOpened>(&input)) rpc.OnSocketOpened(turn, *o, news);
    if (const auto* d = std::get_if<Datagram>(&input)) rpc.OnDatagram(turn, *d, news);
    if (const auto* j = std::get_if<JobDone>(&input)) rpc.OnJobDone(turn, *j, news);
    if (std::holds_alternative<Deadline>(input)) rpc.OnTime(turn, news);
    if (std::holds_alternative<Stop>(input)) rpc.OnStop(turn), turn.out.Stopped();
    if (std::holds_alternative<OpCall>(input) && ask != nullptr) std::exchange(ask, nullptr)->Do(rpc, turn);
    for (RpcNews& n : news) {
      if (auto* r = std::get_if<RequestReceived>(&n)) {
        if (r->request.command == kEcho) rpc.Reply(turn, r->request, r->request.value);
        else rpc.ReplyUnknownCommand(turn, r->request);
        if (r->request.value) last_value = std::string(AsText(*r->request.value));
        r->request.value.reset();
      }
      if (auto* r = std::get_if<ReplyReceived>(&n)) Own(r->response);
      if (auto* r = std::get_if<QueryReply>(&n)) Own(r->response);
      if (auto* r = std::get_if<CommitReply>(&n)) Own(r->response);
      if (auto* due = std::get_if<CommitDue>(&n); due != nullptr && commit != nullptr) commit->Commit(rpc, turn, *due);
      if (keep_news) this->news.push_back(std::move(n));
    }
  }
  Instant next_deadline() const override { return rpc.next_deadline(); }

  // A call downward, made in a turn of its own: MemHost::Call(node, op, "ask").
  struct Asker {
    virtual ~Asker() = default;
    virtual void Do(Rpc& rpc, Turn& turn) = 0;
  };
  struct Committer {
    virtual ~Committer() = default;
    virtual void Commit(Rpc& rpc, Turn& turn, const CommitDue& due) = 0;
  };
  template <class T>
  std::vector<T> Of() const {
    std::vector<T> out;
    for (const RpcNews& n : news) {
      if (const T* t = std::get_if<T>(&n)) out.push_back(*t);
    }
    return out;
  }

  Rpc rpc;
  News news;
  std::string last_value;
  Asker* ask = nullptr;
  Committer* commit = nullptr;
  bool keep_news = true;

 private:
  // Spans die with the turn.
  static void Own(Response& r) { r.value.reset(), r.closer = AddressList(); }
};

}  // namespace orchard::dht
