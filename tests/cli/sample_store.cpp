// Makes a store of artifacts for store_test.py: good ones, one that is damaged, one of a later format.
//   sample_store DIRECTORY GOOD
#include <cstdlib>
#include <ctime>
#include <string>

#include "store/artifact_tables.h"
#include "store/lmdb_environment.h"
#include "support/sample_artifact.h"

namespace {

using caisson::Artifact;

constexpr std::int64_t kAge = 2 * 86'400;  // seconds

int put_raw(const std::string& path, std::uint64_t number, std::size_t changed_byte) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const auto environment = caisson::store::LmdbEnvironment::Handle::open(path, true, deadline);
  if (!environment) return 1;
  const Artifact artifact = caisson::test::numbered_artifact(number);
  auto container = caisson::store::encode_artifact(artifact, (*environment)->key());
  if (!container) return 1;
  container->at(changed_byte) ^= 1;
  const auto put = [&](const caisson::store::Transaction& transaction) {
    return caisson::store::ArtifactTables(transaction).put(artifact.key, *container, std::time(nullptr) - kAge);
  };
  return (*environment)->write(put, deadline, 1U << 30U) ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  constexpr std::size_t kVersionByte = 8;
  constexpr std::size_t kBodyByte = 260;
  if (count != 3) return 2;
  const std::string path = arguments[1];
  const std::uint64_t good = std::strtoull(arguments[2], nullptr, 10);
  const auto store = caisson::open_artifact_store(path);
  if (!store) return 1;
  for (std::uint64_t number = 0; number < good; ++number) {
    Artifact artifact = caisson::test::numbered_artifact(number);
    if (number == 0) artifact.label = "red \x1b[31m and \xff";
    if (!(*store)->store(artifact)) return 1;
  }
  return put_raw(path, good, kBodyByte) | put_raw(path, good + 1, kVersionByte);
}
