#include "node/base/trace.h"

namespace orchard {

void Trace::Fold(std::string_view name, absl::Span<const TraceField> fields) {
  digest_->Add(AsBytes(name));
  for (const TraceField& f : fields) f.bytes.data() != nullptr ? digest_->Add(f.bytes) : digest_->Add(f.number);
}

}  // namespace orchard
