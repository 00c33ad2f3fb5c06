// Who looks for holes: paths of what others have left open, ways out of a directory, programs that say what they are.

#include <algorithm>

#include "node/guard/rules.h"
#include "node/guard/text.h"

namespace orchard::guard {
namespace {

// Whole segments of a path; in order.
constexpr std::string_view kSegments[] = {
    ".aws", ".bash_history", ".bzr", ".circleci", ".docker", ".ds_store", ".env", ".ftpconfig", ".git", ".git-credentials", ".gitconfig", ".hg", ".htaccess",
    ".htpasswd", ".idea", ".kube", ".npmrc", ".pypirc", ".ssh", ".svn", ".vscode", "_ignition", "_profiler", "actuator", "adminer.php", "boaform", "cgi-bin",
    "config.php", "containers", "eval-stdin.php", "fckeditor", "hnap1", "id_dsa", "id_rsa", "invoker", "jmx-console", "myadmin", "phpinfo.php", "phpmyadmin", "pma",
    "server-status", "setup.php", "shell.php", "sqlmanager", "web-inf", "webshell.php", "wlwmanifest.xml", "wp-admin", "wp-config.php", "wp-config.php.bak", "wp-content",
    "wp-includes", "wp-login.php", "xmlrpc.php",
};
static_assert(std::is_sorted(std::begin(kSegments), std::end(kSegments)));

// Words that only scanners have in their User-Agent.
constexpr const char* kScanners[] = {"sqlmap", "nikto", "nmap scripting engine", "masscan", "zgrab", "nuclei", "dirbuster", "gobuster", "feroxbuster", "wpscan", "acunetix",
                                     "nessus", "openvas", "w3af", "arachni", "whatweb", "jorgee", "fuzz faster u fool", "zmeu", "morfeus", "netsparker", "skipfish", "wfuzz",
                                     "joomscan", "havij", "commix"};

constexpr const char* kFiles[] = {"etc/passwd", "etc/shadow", "proc/self/", "windows/win.ini", "windows\\win.ini", "windows/system32", "boot.ini"};

}  // namespace

const char* FindScan(std::string_view path) {
  if (path.find('\0') != path.npos) return "NUL in a path";
  int depth = 0;
  for (size_t i = 0; i <= path.size();) {
    const size_t end = std::min(path.find_first_of("/\\", i), path.size());
    std::string segment(path.substr(i, std::min<size_t>(end - i, 64)));
    i = end + 1;
    if (segment.empty()) continue;
    for (char& c : segment) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
    if (segment == "." || segment == "..") {
      if (segment == ".." && --depth < 0) return "path out of the site";
      continue;
    }
    ++depth;
    if (segment.starts_with(".env.")) return ".env";
    const auto it = std::lower_bound(std::begin(kSegments), std::end(kSegments), std::string_view(segment));
    // "containers" is Docker's door at the root, and else a word.
    if (it != std::end(kSegments) && *it == segment && (segment != "containers" || path.ends_with("/json"))) return it->data();
  }
  for (const char* file : kFiles) {
    if (path.find(file) != path.npos) return file;
  }
  return nullptr;
}

const char* FindScanner(std::string_view agent) {
  for (const char* name : kScanners) {
    if (agent.find(name) != agent.npos) return name;
  }
  return nullptr;
}

}  // namespace orchard::guard
