/* The limit of the fan-out: one room on epoll, as little as a server of it can do.
 *
 *   epoll send|coalesce      says its port, then serves until it is ended
 *
 * No rights, numbers, keepalive or error handling, and the accept key is the one of the load's
 * fixed nonce. `send` sends each message to each member at once; `coalesce` what came within one
 * round of epoll, joined.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MEMBERS_MAX = 20000, BATCH = 64 * 1024 };
static int members[MEMBERS_MAX], count, shaken[MEMBERS_MAX], coalesce;
static char batch[BATCH + 70000];
static size_t batched;
static long long ids;

static void send_all(int fd, const char *data, size_t length) {
    while (length) {
        ssize_t n = send(fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            poll(&p, 1, 1000);
            continue;
        }
        if (n < 0) return;
        data += n;
        length -= n;
    }
}

static void flush(void) {
    for (int i = 0; batched && i < count; i++) send_all(members[i], batch, batched);
    batched = 0;
}

/* Parse what was said, build the event of it, and deliver that. */
static void take(const char *payload, size_t length) {
    const char *text = memmem(payload, length, "\"text\":\"", 8);
    if (!text) return;
    text += 8;
    const char *end = memchr(text, '"', payload + length - text);
    if (!end) return;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    char *frame = batch + batched;
    int n = sprintf(frame + 4,
                    "{\"type\":\"message\",\"id\":%lld,\"room\":\"lobby\",\"ts\":%ld,\"text\":\"%.*s\"}", ++ids,
                    t.tv_sec * 1000 + t.tv_nsec / 1000000, (int)(end - text), text);
    frame[0] = (char)0x81, frame[1] = 126, frame[2] = n >> 8, frame[3] = n;
    batched += n + 4;
    if (!coalesce || batched > BATCH) flush();
}

static void leave(int fd) {
    for (int i = 0; shaken[fd] && i < count; i++)
        if (members[i] == fd) members[i--] = members[--count];
    shaken[fd] = 0; /* the number is given to somebody else */
    close(fd);
}

static void serve(int fd) {
    static char data[1 << 17];
    ssize_t n = recv(fd, data, sizeof data, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) leave(fd);
        return;
    }
    if (!shaken[fd]) {
        const char *answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        shaken[fd] = 1;
        send_all(fd, answer, strlen(answer));
        members[count++] = fd;
        return;
    }
    for (ssize_t at = 0; at + 6 <= n;) {
        unsigned char *h = (unsigned char *)data + at;
        size_t length = h[1] & 127, head = 2;
        if (length == 126) length = h[2] << 8 | h[3], head = 4;
        unsigned char *mask = h + head, *payload = mask + 4;
        if (at + (ssize_t)(head + 4 + length) > n) break; /* the load writes whole frames */
        for (size_t i = 0; i < length; i++) payload[i] ^= mask[i & 3];
        if ((h[0] & 15) == 1) take((char *)payload, length);
        at += head + 4 + length;
    }
}

int main(int argc, char **argv) {
    coalesce = argc > 1 && !strcmp(argv[1], "coalesce");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0), ep = epoll_create1(0), one = 1;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1024)) return 1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    struct epoll_event e = {.events = EPOLLIN, .data.fd = listener}, ready[1024];
    epoll_ctl(ep, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(ep, ready, 1024, -1);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd != listener) {
                serve(ready[i].data.fd);
                continue;
            }
            int fd = accept(listener, NULL, NULL);
            if (fd < 0 || fd >= MEMBERS_MAX) continue;
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            e.data.fd = fd;
            epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
        }
        flush();
    }
}
