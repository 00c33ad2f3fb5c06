/* A CGI program that looks for a way out, and says what it found. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void) {
  struct stat st;
  char byte;
  printf("Content-Type: text/plain\n\n");
  printf("open %d\n", open("/etc/passwd", O_RDONLY));
  printf("create %d\n", open("x", O_CREAT | O_WRONLY, 0600));
  printf("stat %d\n", stat("/", &st));
  printf("opendir %d\n", opendir("/") != NULL);
  printf("mkdir %d\n", mkdir("/x", 0700));
  printf("unlink %d\n", unlink("/etc/passwd"));
  for (int fd = 3; fd < 8; fd++) printf("read %d %d\n", fd, (int)read(fd, &byte, 1));
  printf("accept %d\n", accept(3, NULL, NULL));
  printf("send %d\n", (int)send(3, "x", 1, 0));
  return 0;
}
