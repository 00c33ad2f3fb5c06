// A directory that holds a site: site.json, the keys of one site of the configuration, and its module.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include <nlohmann/json.hpp>
#include "node/apps/cli.h"
#include "node/base/json_depth.h"

namespace orchard::cli {
namespace {

namespace fs = std::filesystem;
constexpr uintmax_t kSettingsMax = 32 << 10;  // It goes to the daemon in one line.

}  // namespace

std::optional<SiteDir> ReadSiteDir(const std::string& path, std::string& wrong) {
  const auto fail = [&](std::string what) { return wrong = std::move(what), std::nullopt; };
  std::error_code error;
  const fs::path dir = fs::absolute(path).lexically_normal(), file = dir / "site.json";
  SiteDir out;
  if (fs::exists(file, error)) {
    if (fs::file_size(file, error) > kSettingsMax || error) return fail(absl::StrCat(file.string(), " has more than ", kSettingsMax >> 10, " KiB, or is no file"));
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    nlohmann::json settings;
    if (!JsonDeeperThan(text.str(), kJsonDepthMax)) settings = nlohmann::json::parse(text.str(), nullptr, /*allow_exceptions=*/false, /*ignore_comments=*/true);
    if (!settings.is_object()) return fail(absl::StrCat(file.string(), " holds no JSON object, such as {\"module\": \"site.wasm\", \"replicas\": 3}"));
    if (settings.contains("module")) {
      if (!settings["module"].is_string()) return fail(absl::StrCat(file.string(), ": module is no text"));
      const std::string module = settings["module"];
      out.module = module.starts_with("example:") ? module : (dir / module).lexically_normal().string();
      settings.erase("module");
    }
    if (settings.contains("files") && settings["files"].is_string() && settings["files"] != "") {
      settings["files"] = (dir / settings["files"].get<std::string>()).lexically_normal().string();
    }
    out.settings = settings.dump();
  }
  if (!out.module.empty()) return out;
  for (const auto& entry : fs::directory_iterator(dir, error)) {
    if (entry.path().extension() != ".wasm") continue;
    if (!out.module.empty()) return fail(absl::StrCat(dir.string(), " has several modules; \"module\" in its site.json says which"));
    out.module = entry.path();
  }
  if (out.module.empty()) return fail(absl::StrCat(dir.string(), " has neither a site.json with \"module\" nor a .wasm file"));
  return out;
}

}  // namespace orchard::cli
