// Feeds every file of a corpus to a fuzz target once: what was found stays fixed.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

int main() {
  size_t count = 0;
  for (auto& entry : std::filesystem::recursive_directory_iterator(FUZZ_CORPUS)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    std::vector<char> input{std::istreambuf_iterator<char>(file), {}};
    std::printf("%s\n", entry.path().c_str());
    std::fflush(stdout);  // the name of the one that crashes
    LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
    ++count;
  }
  if (count) return 0;
  std::printf("the corpus %s is empty: nothing was tested\n", FUZZ_CORPUS);
  return 1;
}
