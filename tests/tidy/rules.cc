// All rules together, for one file and for the tree.

#include "rules.h"

namespace loopline::tidy {

Findings check_file(const File& file) {
  Findings all;
  for (const auto rule : {check_first_line, check_width, check_file_size, check_words,
                          check_macro_names, check_function_size, check_layers, check_atomics}) {
    const auto findings = rule(file);
    all.insert(all.end(), findings.begin(), findings.end());
  }
  return all;
}

Findings check_tree(const Tree& tree) {
  Findings all;
  for (const auto& file : tree) {
    const auto findings = check_file(file);
    all.insert(all.end(), findings.begin(), findings.end());
  }
  for (const auto rule : {check_edges, check_documents}) {
    const auto findings = rule(tree);
    all.insert(all.end(), findings.begin(), findings.end());
  }
  return all;
}

}  // namespace loopline::tidy
