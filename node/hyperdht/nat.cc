#include "node/hyperdht/nat.h"

#include <utility>

namespace orchard::hyperdht {
namespace {

constexpr uint32_t kEnoughToClassify = 3, kSure = 3, kTwice = 2;
constexpr size_t kAdvertisedMin = 2;  // So many addresses are told at least, if there are, however rarely met.

}  // namespace

std::string_view FirewallName(Firewall firewall) {
  static constexpr std::string_view kNames[] = {"unknown", "open", "consistent", "random"};
  return kNames[size_t(firewall)];
}

Nat::Nat(bool dht_firewalled)
    : firewall_(dht_firewalled ? Firewall::kUnknown : Firewall::kOpen), dht_firewalled_(dht_firewalled) {}

Nat::Sampler* Nat::Find(Ipv4Address sampler) {
  for (Sampler& s : samplers_) {
    if (s.address == sampler) return &s;
  }
  return nullptr;
}

bool Nat::Visit(Ipv4Address sampler) {
  if (samplers_.size() >= kSamplersMax || Find(sampler) != nullptr) return false;
  samplers_.push_back({sampler, false});
  return true;
}

void Nat::Add(Ipv4Address seen_as, Ipv4Address sampler) {
  Sampler* s = Find(sampler);
  if (s != nullptr ? s->spoke : samplers_.size() >= kSamplersMax) return;
  if (s != nullptr) s->spoke = true;
  else samplers_.push_back({sampler, true});

  Count(hosts_, {seen_as.host, 0}), Count(full_, seen_as);
  ++sampled_;
  if ((sampled_ >= kEnoughToClassify || !dht_firewalled_) && !frozen_) Classify(), Advertise();
  if (firewall_ == Firewall::kConsistent || firewall_ == Firewall::kOpen || sampled_ >= kSamples) analyzed_ = true;
}

void Nat::Count(std::vector<Sample>& samples, Ipv4Address address) {
  size_t i = 0;
  while (i < samples.size() && samples[i].address != address) ++i;
  if (i == samples.size()) return samples.push_back({address, 1});
  ++samples[i].hits;
  for (; i > 0 && samples[i - 1].hits < samples[i].hits; --i) std::swap(samples[i - 1], samples[i]);
}

void Nat::Classify() {
  if (!dht_firewalled_) {
    firewall_ = Firewall::kOpen;
  } else if (full_[0].hits >= kSure) {
    firewall_ = Firewall::kConsistent;
  } else if (full_[0].hits < kTwice) {
    firewall_ = Firewall::kRandom;
  } else if (hosts_.size() == 1 && sampled_ >= kSamples) {
    firewall_ = Firewall::kRandom;
  } else if (hosts_.size() > 1 && full_[1].hits >= kTwice) {
    firewall_ = Firewall::kConsistent;  // Two lines to the world, each with one mapping.
  } else if (sampled_ > kSamples) {
    firewall_ = Firewall::kRandom;
  }
}

void Nat::Advertise() {
  switch (firewall_) {
    case Firewall::kUnknown: addresses_.reset(); break;
    case Firewall::kOpen: break;
    case Firewall::kRandom: addresses_ = {hosts_[0].address.endpoint()}; break;
    case Firewall::kConsistent:
      addresses_.emplace();
      for (const Sample& s : full_) {
        if (s.hits >= kTwice || addresses_->size() < kAdvertisedMin) addresses_->push_back(s.address.endpoint());
      }
      break;
  }
}

}  // namespace orchard::hyperdht
