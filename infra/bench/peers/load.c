/* The load of the fan-out measurement: many WebSocket members in one process, one core, no library.
 *
 *   load PORT PATH SUBPROTOCOL MEMBERS STEPS SAY BEAT [NATS_PORT SUBJECT EVENT SEQ]
 *
 * STEPS has a line per member: what it waits for and what it says then, in turns, between tabs.
 * SAY is what a member sends, EVENT what is published on SUBJECT instead, BEAT what every member
 * says each 20 s ("-": nothing). In them %M is the mark by which a delivery is counted and timed,
 * %I a number, %C a client id, %S the next sequence number of the room.
 * When all are in, commands come by line, and each is answered by one line of JSON:
 *
 *   closed member|feed IN_FLIGHT SECONDS   the next message when one has reached every member
 *   offer  member|feed PER_SECOND SECONDS  messages at their time, however late the others are
 *   stall  MEMBERS                         so many stop reading
 *
 * A delivery is timed from when its message was due to when it was read here; and, so that this
 * program being late is not taken for the server being late, from when the message really went to
 * when the kernel had it for the member.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 64, SCRATCH = 1 << 20, BUCKETS = 200000, BUCKET_US = 10, AT_ONCE = 48 };
enum { BEAT_SECONDS = 20, DRAIN_SECONDS = 10, SETUP_SECONDS = 180, MARK_BYTES = 24 };

typedef struct {
    int fd, shaken, joined, stalled;
    char *steps; /* what is left of the script */
    char *rest;  /* of a frame that is not whole yet */
    size_t rest_len;
} Member;

static Member *members;
static int count, started, joined, stalled, closed, ep, nats = -1;
static const char *path, *subprotocol, *say, *beat, *subject, *event;
static int port;
static long long sequence, numbers;
static char scratch[SCRATCH], text[1 << 16];

static long long got[SLOTS]; /* deliveries of the message in each slot */
static long long deliveries, sent, errors, reads_done;
static long long histogram[BUCKETS], served[BUCKETS], lateness[BUCKETS];
static long long due_at[SLOTS], said_at[SLOTS]; /* of the message in each slot; when it really went */
static long long clocks_apart;   /* of the kernel's stamps and ours */
static long long began; /* what was due before it belongs to an earlier measurement */
static int in_flight, by_feed, turn;

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void count_in(long long *times, long long ns) {
    long long bucket = ns / 1000 / BUCKET_US;
    times[bucket < 0 ? 0 : bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

static void die(const char *why) {
    fprintf(stderr, "load: %s (%s)\n", why, strerror(errno));
    exit(1);
}

static void write_all(int fd, const char *data, size_t length) {
    while (length) {
        ssize_t n = send(fd, data, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            usleep(50);
            continue;
        }
        if (n < 0) return; /* closed: the reader notices */
        data += n;
        length -= n;
    }
}

static int dial(int to) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(to)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address)) die("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void watch(int fd, int id) {
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = id};
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e)) die("epoll");
}

static void send_frame(int fd, int opcode, const char *payload, size_t length) {
    static char frame[1 << 17];
    size_t at = 0;
    frame[at++] = 0x80 | opcode;
    if (length < 126) {
        frame[at++] = 0x80 | length;
    } else {
        frame[at++] = 0x80 | 126;
        frame[at++] = length >> 8;
        frame[at++] = length;
    }
    memset(frame + at, 0, 4); /* a mask of zeros is a mask */
    memcpy(frame + at + 4, payload, length);
    write_all(fd, frame, at + 4 + length);
}

static size_t fill(char *into, const char *template, int slot, long long due) {
    char *at = into;
    for (const char *c = template; *c; c++) {
        if (*c != '%') {
            *at++ = *c;
            continue;
        }
        switch (*++c) {
        case 'M': at += sprintf(at, "~%02d~%019lld~", slot, due); break;
        case 'I': at += sprintf(at, "%lld", ++numbers); break;
        case 'S': at += sprintf(at, "%lld", ++sequence); break;
        case 'C': at += sprintf(at, "%08llx-0000-7000-8000-%012llx", due & 0xffffffff, ++numbers); break;
        default: *at++ = *c;
        }
    }
    return at - into;
}

static void emit(int slot, long long due) {
    got[slot] = 0;
    sent++;
    due_at[slot] = due;
    said_at[slot] = now_ns();
    count_in(lateness, said_at[slot] - due);
    if (by_feed) {
        static char line[1 << 17];
        size_t length = fill(text, event, slot, due);
        int head = sprintf(line, "PUB %s %zu\r\n", subject, length);
        memcpy(line + head, text, length);
        memcpy(line + head + length, "\r\n", 2);
        write_all(nats, line, head + length + 2);
    } else {
        do turn = (turn + 1) % count;
        while (members[turn].stalled || members[turn].fd < 0);
        send_frame(members[turn].fd, 1, text, fill(text, say, slot, due));
    }
}

static void delivered(const char *mark, long long now, long long arrived) {
    int slot = (mark[1] - '0') * 10 + mark[2] - '0';
    long long due = 0;
    for (int i = 4; i < 23; i++) due = due * 10 + mark[i] - '0';
    if (due < began) return;
    count_in(histogram, now - due);
    count_in(served, arrived - (due == due_at[slot] ? said_at[slot] : due));
    deliveries++;
    if (++got[slot] == count - stalled && in_flight) emit(slot, now_ns());
}

static void take_step(Member *m, const char *payload, size_t length) {
    while (m->steps && *m->steps) {
        char *say_at = strchr(m->steps, '\t');
        size_t wanted = say_at ? (size_t)(say_at - m->steps) : strlen(m->steps);
        if (!memmem(payload, length, m->steps, wanted)) return;
        if (!say_at) break;
        char *next = strchr(++say_at, '\t');
        size_t said = next ? (size_t)(next - say_at) : strlen(say_at);
        send_frame(m->fd, 1, say_at, said);
        m->steps = next ? next + 1 : NULL;
        if (next) return;
    }
    m->joined = 1;
    joined++;
}

static void hang_up(Member *m) {
    if (m->fd >= 0) {
        if (!m->joined) die("a member was closed before it was in");
        close(m->fd);
        m->fd = -1;
        closed++;
    }
}

static void take_frame(Member *m, int opcode, char *payload, size_t length, long long now,
                       long long arrived) {
    if (opcode == 9) send_frame(m->fd, 10, payload, length);
    if (opcode == 8) {
        if (!m->joined) fprintf(stderr, "load: closed: %.*s\n", (int)length, payload);
        hang_up(m);
    }
    if (opcode != 1) return;
    if (length == 1 && *payload == '2') {
        send_frame(m->fd, 1, "3", 1); /* Engine.IO's ping */
        return;
    }
    char *mark = memchr(payload, '~', length);
    if (mark && payload + length - mark >= MARK_BYTES && mark[3] == '~') {
        if (m->joined) delivered(mark, now, arrived);
    } else if (!m->joined) {
        take_step(m, payload, length);
    } else if (memmem(payload, length, "\"err\":", 6)) {
        if (!errors++) fprintf(stderr, "load: %.*s\n", (int)length, payload);
    }
}

static void read_member(Member *m) {
    size_t have = m->rest_len, at = 0;
    if (have) memcpy(scratch, m->rest, have);
    char stamp[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec into = {scratch + have, SCRATCH - have};
    struct msghdr message = {
        .msg_iov = &into, .msg_iovlen = 1, .msg_control = stamp, .msg_controllen = sizeof stamp};
    ssize_t n = recvmsg(m->fd, &message, 0);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) hang_up(m);
        return;
    }
    reads_done++;
    have += n;
    long long now = now_ns(), arrived = now;
    struct cmsghdr *told = CMSG_FIRSTHDR(&message);
    if (told && told->cmsg_type == SCM_TIMESTAMPNS) {
        struct timespec t;
        memcpy(&t, CMSG_DATA(told), sizeof t);
        arrived = t.tv_sec * 1000000000LL + t.tv_nsec - clocks_apart;
    }
    if (!m->shaken) {
        char *end = memmem(scratch, have, "\r\n\r\n", 4);
        if (end) {
            if (!memmem(scratch, have, " 101 ", 5)) {
                fprintf(stderr, "load: %.*s\n", (int)have, scratch);
                die("no handshake");
            }
            m->shaken = 1;
            at = end + 4 - scratch;
            if (!m->steps) m->joined = 1, joined++;
        }
    }
    while (m->shaken && m->fd >= 0 && have - at >= 2) {
        unsigned char *h = (unsigned char *)scratch + at;
        size_t length = h[1] & 127, head = 2;
        if (length == 126) {
            if (have - at < 4) break;
            length = h[2] << 8 | h[3], head = 4;
        } else if (length == 127) {
            if (have - at < 10) break;
            length = (size_t)h[6] << 24 | h[7] << 16 | h[8] << 8 | h[9], head = 10;
        }
        if (have - at < head + length) break;
        take_frame(m, h[0] & 15, scratch + at + head, length, now, arrived);
        at += head + length;
    }
    m->rest_len = have - at;
    m->rest = m->rest_len ? realloc(m->rest, m->rest_len) : (free(m->rest), NULL);
    if (m->rest_len) memcpy(m->rest, scratch + at, m->rest_len);
}

static void read_nats(void) {
    char line[1 << 14];
    ssize_t n = recv(nats, line, sizeof line, 0);
    if (n == 0) die("the broker closed");
    if (n > 0 && memmem(line, n, "PING", 4)) write_all(nats, "PONG\r\n", 6);
    if (n > 0 && memmem(line, n, "-ERR", 4)) die(line);
}

/* Everything that is there to read, waiting no longer than that. */
static int turn_once(int wait_ms) {
    static struct epoll_event ready[1024];
    static long long beat_at;
    int n = epoll_wait(ep, ready, 1024, wait_ms), command = 0;
    for (int i = 0; i < n; i++) {
        uint32_t id = ready[i].data.u32;
        if (id == UINT32_MAX) command = 1;
        else if (id == UINT32_MAX - 1) read_nats();
        else if (members[id].fd >= 0) read_member(&members[id]);
    }
    long long now = now_ns();
    if (!beat_at) beat_at = now;
    if (*beat != '-' && now - beat_at > BEAT_SECONDS * 1000000000LL) {
        beat_at = now;
        for (int i = 0; i < count; i++)
            if (members[i].fd >= 0 && members[i].joined && !members[i].stalled)
                send_frame(members[i].fd, 1, text, fill(text, beat, 0, now));
    }
    return command;
}

static double quantile_ms(const long long *times, long long counted, double part) {
    long long wanted = counted * part, seen = 0;
    for (int i = 0; i < BUCKETS; i++)
        if ((seen += times[i]) > wanted) return i * BUCKET_US / 1000.0;
    return BUCKETS * BUCKET_US / 1000.0;
}

static void measure(int is_closed, double amount, double seconds) {
    memset(histogram, 0, sizeof histogram);
    memset(served, 0, sizeof served);
    memset(lateness, 0, sizeof lateness);
    struct timespec stamped;
    clock_gettime(CLOCK_REALTIME, &stamped);
    clocks_apart = stamped.tv_sec * 1000000000LL + stamped.tv_nsec - now_ns();
    deliveries = sent = errors = reads_done = 0;
    int listening = count - stalled;
    struct timespec cpu_from, cpu_to;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_from);
    long long from = began = now_ns(), until = from + seconds * 1e9, until_drained;
    if (is_closed) {
        in_flight = 1;
        for (int slot = 0; slot < (int)amount; slot++) emit(slot, now_ns());
        while (now_ns() < until) turn_once(1);
        in_flight = 0;
    } else {
        for (long long i = 0; i < amount * seconds; i++) {
            long long due = from + i * 1e9 / amount, now;
            while ((now = now_ns()) < due) turn_once(due - now > 1000000 ? 1 : 0);
            if (now > until) break;
            emit(i % SLOTS, due);
            turn_once(0);
        }
    }
    until_drained = now_ns() + DRAIN_SECONDS * 1000000000LL;
    while (deliveries < sent * listening && now_ns() < until_drained) turn_once(1);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_to);
    printf("{\"sent\":%lld,\"deliveries\":%lld,\"missing\":%lld,\"errors\":%lld,\"reads\":%lld,"
           "\"closed\":%d,\"seconds\":%.4f,\"p50_ms\":%.2f,\"p99_ms\":%.2f,"
           "\"served_p50_ms\":%.2f,\"late_p50_ms\":%.2f,\"cpu_seconds\":%.4f}\n",
           sent, deliveries, sent * listening - deliveries, errors, reads_done, closed,
           (now_ns() - from) / 1e9, quantile_ms(histogram, deliveries, 0.5),
           quantile_ms(histogram, deliveries, 0.99), quantile_ms(served, deliveries, 0.5),
           quantile_ms(lateness, sent, 0.5),
           cpu_to.tv_sec - cpu_from.tv_sec + (cpu_to.tv_nsec - cpu_from.tv_nsec) / 1e9);
}

static void obey(void) {
    char line[200], what[20], by[20];
    double amount, seconds;
    if (!fgets(line, sizeof line, stdin)) exit(0);
    if (sscanf(line, "stall %d", &stalled) == 1) {
        for (int i = 0; i < stalled; i++) {
            members[i].stalled = 1;
            epoll_ctl(ep, EPOLL_CTL_DEL, members[i].fd, NULL);
        }
        printf("{}\n");
    } else if (sscanf(line, "%19s %19s %lf %lf", what, by, &amount, &seconds) == 4) {
        by_feed = by[0] == 'f';
        measure(what[0] == 'c', amount, seconds);
    }
    fflush(stdout);
}

static void start(int id) {
    char request[1000];
    Member *m = &members[id];
    int one = 1;
    m->fd = dial(port);
    setsockopt(m->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
    int n = sprintf(request,
                    "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
                    path, port);
    if (*subprotocol != '-') n += sprintf(request + n, "Sec-WebSocket-Protocol: %s\r\n", subprotocol);
    n += sprintf(request + n, "\r\n");
    watch(m->fd, id);
    write_all(m->fd, request, n);
}

int main(int argc, char **argv) {
    if (argc < 8) die("arguments");
    port = atoi(argv[1]), path = argv[2], subprotocol = argv[3], count = atoi(argv[4]);
    say = argv[6], beat = argv[7];
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    ep = epoll_create1(0);
    members = calloc(count, sizeof *members);
    FILE *steps = fopen(argv[5], "r");
    if (!steps) die(argv[5]);
    for (int i = 0; i < count; i++) {
        size_t room = 0;
        char *line = NULL;
        ssize_t n = getline(&line, &room, steps);
        if (n < 0) die("a member without steps");
        if (n > 0 && line[n - 1] == '\n') line[--n] = 0;
        members[i].steps = n > 0 ? line : NULL;
    }
    if (argc > 11) {
        nats = dial(atoi(argv[8]));
        subject = argv[9], event = argv[10], sequence = atoll(argv[11]);
        const char *hello = "CONNECT {\"verbose\":false,\"pedantic\":false,\"name\":\"load\"}\r\n";
        watch(nats, UINT32_MAX - 1);
        write_all(nats, hello, strlen(hello));
    }
    long long until = now_ns() + SETUP_SECONDS * 1000000000LL;
    while (joined < count) {
        while (started < count && started - joined < AT_ONCE) start(started++);
        turn_once(20);
        if (now_ns() > until) die("not all came in");
    }
    printf("{}\n");
    fflush(stdout);
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, 0, &e)) die("stdin");
    for (;;)
        if (turn_once(1000)) obey();
}
