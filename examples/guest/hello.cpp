// A guest as people write them: streams, containers, algorithms, exceptions. `make run` compiles it for riscv64 with the
// distribution's cross compiler and runs the result unchanged.
#include <algorithm>
#include <iomanip>
#include <iostream>
#include <map>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

std::map<std::string, int> count_words(const std::string& text) {
  std::map<std::string, int> counts;
  std::istringstream words(text);
  for (std::string word; words >> word;) ++counts[word];
  return counts;
}

double mean(const std::vector<double>& values) {
  if (values.empty()) throw std::invalid_argument("the mean of nothing");
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::cout << "hello from riscv64, " << (argc > 1 ? argv[1] : "world") << "\n";
  for (const auto& [word, count] : count_words("the sea the sky the sealed chamber")) {
    std::cout << std::setw(8) << word << " " << count << "\n";
  }

  std::vector<double> values(1000);
  std::iota(values.begin(), values.end(), 1.0);
  std::ranges::sort(values, std::greater<>());
  std::cout << "mean of " << values.size() << " values, largest " << values.front() << ": " << std::fixed
            << std::setprecision(3) << mean(values) << "\n";
  try {
    mean({});
  } catch (const std::invalid_argument& error) {
    std::cout << "caught: " << error.what() << "\n";
  }
}
