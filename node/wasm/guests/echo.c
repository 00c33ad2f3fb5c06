/* A CGI program, on wasi-libc: says what it was asked, and with what. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

int main(void) {
  const char* path = getenv("PATH_INFO");
  if (path != NULL && strcmp(path, "/exit") == 0) return 3;
  if (path != NULL && strcmp(path, "/abort") == 0) abort();
  printf("Content-Type: text/plain\n\n");
  if (path != NULL && strcmp(path, "/time") == 0) {
    unsigned char luck[8];
    getentropy(luck, sizeof luck);
    printf("%lld ", (long long)time(NULL));
    for (size_t i = 0; i < sizeof luck; i++) printf("%02x", luck[i]);
    printf("\n");
    fprintf(stderr, "asked for the time\n");
    return 0;
  }
  for (char** e = environ; *e != NULL; e++) printf("%s\n", *e);
  printf("\n");
  char buffer[4096];
  size_t n;
  while ((n = fread(buffer, 1, sizeof buffer, stdin)) > 0) fwrite(buffer, 1, n, stdout);
  return 0;
}
