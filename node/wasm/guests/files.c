/* A CGI program that serves the files of its site: index.html for a directory, the type by the end of the name. */
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char* const kTypes[][2] = {{".html", "text/html; charset=utf-8"}, {".css", "text/css"}, {".js", "text/javascript"}, {".json", "application/json"},
                                        {".txt", "text/plain; charset=utf-8"}, {".svg", "image/svg+xml"}, {".png", "image/png"}, {".jpg", "image/jpeg"},
                                        {".wasm", "application/wasm"}};

static void put(const char* text) { write(1, text, strlen(text)); }

static const char* type_of(const char* path) {
  const char* dot = strrchr(path, '.');
  for (size_t i = 0; dot != NULL && i < sizeof kTypes / sizeof *kTypes; i++) {
    if (strcmp(dot, kTypes[i][0]) == 0) return kTypes[i][1];
  }
  return "application/octet-stream";
}

static int none(void) {
  put("Status: 404 Not Found\nContent-Type: text/plain\n\nno such file\n");
  return 0;
}

/* To the directory `name` as such: links in its page are relative to it. */
static void moved(const char* name) {
  static const char hex[] = "0123456789ABCDEF";
  put("Status: 301 Moved Permanently\nContent-Type: text/plain\nLocation: ./");
  for (const unsigned char* c = (const unsigned char*)name; *c != 0; c++) {
    const char escaped[] = {'%', hex[*c >> 4], hex[*c & 15], 0}, plain[] = {(char)*c, 0};
    put(isalnum(*c) || strchr("-._~", *c) != NULL ? plain : escaped);
  }
  put("/\n\nit is a directory\n");
}

int main(void) {
  static char path[4096], buffer[65536];
  const char *asked = getenv("PATH_INFO"), *index = "index.html";
  struct stat st;
  if (asked == NULL || asked[0] != '/') asked = "/";
  if (strlen(asked) + strlen(index) + 2 > sizeof path) return none();
  strcpy(path, asked);
  if (stat(path, &st) != 0) return none();
  if (S_ISDIR(st.st_mode)) {
    if (path[strlen(path) - 1] != '/') {
      moved(strrchr(asked, '/') + 1);
      return 0;
    }
    strcat(path, index);
  }
  const int fd = open(path, O_RDONLY);
  if (fd < 0) return none();
  put("Content-Type: ");
  put(type_of(path));
  put("\n\n");
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) {
    for (ssize_t done = 0, wrote; done < n; done += wrote) {
      if ((wrote = write(1, buffer + done, (size_t)(n - done))) <= 0) return 1;
    }
  }
  return 0;
}
