#include "capability/verify.h"

namespace caisson::capability {

Hash hash_afresh(const Capability& capability) {
  const Data* const data = std::get_if<Data>(&capability);
  if (data == nullptr) return hash_of(capability);
  Data fresh = Data::zeros(data->page_count());
  for (std::uint32_t index = 0; index < data->page_count(); ++index) fresh.set_page(index, data->share_page(index));
  return hash_of(fresh);
}

}  // namespace caisson::capability
