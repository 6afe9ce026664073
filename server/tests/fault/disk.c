/* A disk that fails: loaded into the gateway with LD_PRELOAD, it makes calls on the transparency log's files fail, for as
 * long as the file that TIRESIAS_FAULT names has words for it, of which there may be several:
 *
 *   journal-sync   fsync and fdatasync fail with EIO
 *   journal-cut    ftruncate fails with EIO
 *   journal-torn   a write takes half of its bytes, and the rest fails with ENOSPC
 *   seeds-torn, public-torn   the same of other files
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const parts[] = {"journal", "seeds", "public"};

static int fails(int fd, const char *call) {
    char name[64], path[4096] = "", words[256] = "", word[64];
    int before = errno, found = 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    const char *fault = getenv("TIRESIAS_FAULT");
    int file = fault && readlink(name, path, sizeof path - 1) > 0 ? open(fault, O_RDONLY | O_CLOEXEC) : -1;
    if (file >= 0) {
        ssize_t length = read(file, words, sizeof words - 1);
        words[length > 0 ? length : 0] = 0;
        close(file);
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            snprintf(name, sizeof name, "/log/%s", parts[i]);
            snprintf(word, sizeof word, "%s-%s", parts[i], call);
            found |= strstr(path, name) && strstr(words, word);
        }
    }
    errno = before;
    return found;
}

static int fail(int error) {
    errno = error;
    return -1;
}

int fsync(int fd) { return fails(fd, "sync") ? fail(EIO) : (int)syscall(SYS_fsync, fd); }

int fdatasync(int fd) { return fails(fd, "sync") ? fail(EIO) : (int)syscall(SYS_fdatasync, fd); }

int ftruncate64(int fd, off64_t length) {
    return fails(fd, "cut") ? fail(EIO) : (int)syscall(SYS_ftruncate, fd, length);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    static _Thread_local int torn;
    if (!fails(fd, "torn"))
        return syscall(SYS_write, fd, bytes, count);
    torn = !torn;
    return torn && count > 1 ? syscall(SYS_write, fd, bytes, count / 2) : fail(ENOSPC);
}
