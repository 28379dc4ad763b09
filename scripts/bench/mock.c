/* mock.c - a very cheap OpenAI-like upstream for benchmarks (one thread, epoll).
 *
 *   cc -O2 -o mock mock.c && ./mock PORT          0: a free one; the first line on stdout says which
 *
 * Any POST is answered with a fixed chat.completion (about 700 bytes of body).  If the
 * request body holds "stream":true (blanks allowed) the answer is SSE: CHUNKS deltas, a
 * finish chunk, a usage chunk and [DONE], each its own send().  The text of each delta is
 * "@" and the send time in microseconds of CLOCK_MONOTONIC (16 digits), so that load.c
 * can tell the lag of each chunk through a gateway.
 *
 *   GET /__set?latency_ms=60&delay_ms=5&chunks=50   changes the behaviour of new requests
 *   GET /__stats                                    counts of requests and connections
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUF (1 << 20)
#define MODEL "\"created\":1760000000,\"model\":\"gpt-4o-mini-2024-07-18\","
static const char BODY[] =
    "{\"id\":\"chatcmpl-CQ7b0VdGx3kYw1mZ9sT2uLrE8hNfA\",\"object\":\"chat.completion\"," MODEL
    "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
    "\"Hello! This is a fixed answer of a mock upstream; it is as long as a short real one.\","
    "\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],"
    "\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":21,\"total_tokens\":40,"
    "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
    "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,"
    "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}},"
    "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_51db84afab\"}";
#define CHUNK_HEAD "data: {\"id\":\"chatcmpl-CQ7b0VdGx3kYw1mZ9sT2uLrE8hNfA\"," \
    "\"object\":\"chat.completion.chunk\"," MODEL "\"service_tier\":\"default\"," \
    "\"system_fingerprint\":\"fp_51db84afab\",\"choices\":["
#define USAGE "\"usage\":{\"prompt_tokens\":19,\"completion_tokens\":50,\"total_tokens\":69}"

typedef struct conn {
    int fd, chunk;                  /* chunk: next one to send, -1 when not streaming */
    int nchunks, stream;
    long long due;
    struct conn *prev, *next;       /* place in a timer queue */
    struct queue *q;
    size_t len;
    char *buf;
} conn;

/* All entries of one queue wait equally long, so first in is first due. */
typedef struct queue { conn *head, *tail; } queue;

static queue q_latency, q_delay;
static int ep, latency_us, delay_us, chunks = 50;
static long long n_requests, n_streams, n_conns;
static char answer[4096];
static size_t answer_len;

static long long now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void unqueue(conn *c) {
    if (!c->q) return;
    if (c->prev) c->prev->next = c->next; else c->q->head = c->next;
    if (c->next) c->next->prev = c->prev; else c->q->tail = c->prev;
    c->q = NULL;
}

static void enqueue(queue *q, conn *c, long long due) {
    c->due = due, c->q = q, c->next = NULL, c->prev = q->tail;
    if (q->tail) q->tail->next = c; else q->head = c;
    q->tail = c;
}

static void drop(conn *c) {
    unqueue(c);
    close(c->fd);
    free(c->buf);
    free(c);
}

/* Answers are small; a peer so slow that one does not fit its socket buffer is dropped. */
static int put(conn *c, const char *p, size_t n) {
    while (n) {
        ssize_t w = send(c->fd, p, n, MSG_NOSIGNAL);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return -1;
        p += w, n -= w;
    }
    return 0;
}

static int put_chunk(conn *c, const char *text, int n, int last) {
    char out[1024];
    int m = snprintf(out, sizeof out, "%x\r\n%.*s\r\n%s", n, n, text, last ? "0\r\n\r\n" : "");
    return put(c, out, m);
}

static int serve(conn *c);

/* Sends what is due of a stream; returns -1 if the connection must go. */
static int step(conn *c) {
    char t[768];
    if (!c->stream) {
        if (put(c, answer, answer_len)) return -1;
        c->chunk = -1;
        return serve(c);
    }
    if (c->chunk == 0) {
        static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
            "x-request-id: req_mock\r\nopenai-processing-ms: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
        if (put(c, head, sizeof head - 1)) return -1;
    }
    while (c->chunk < c->nchunks) {
        int n = snprintf(t, sizeof t, CHUNK_HEAD "{\"index\":0,\"delta\":{%s\"content\":\"@%016lld\"},"
            "\"logprobs\":null,\"finish_reason\":null}]}\n\n",
            c->chunk ? "" : "\"role\":\"assistant\",", now_us());
        if (put_chunk(c, t, n, 0)) return -1;
        c->chunk++;
        if (delay_us) {
            enqueue(&q_delay, c, now_us() + delay_us);
            return 0;
        }
    }
    static const char fin[] = CHUNK_HEAD "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n";
    static const char usage[] = CHUNK_HEAD "]," USAGE "}\n\n";
    if (put_chunk(c, fin, sizeof fin - 1, 0) || put_chunk(c, usage, sizeof usage - 1, 0)
        || put_chunk(c, "data: [DONE]\n\n", 14, 1)) return -1;
    c->chunk = -1;
    return serve(c);
}

static int control(conn *c) {
    char out[512], body[256], *p;
    if ((p = strstr(c->buf, "latency_ms="))) latency_us = (int)(atof(p + 11) * 1000);
    if ((p = strstr(c->buf, "delay_ms="))) delay_us = (int)(atof(p + 9) * 1000);
    if ((p = strstr(c->buf, "chunks="))) chunks = atoi(p + 7);
    int n = snprintf(body, sizeof body, "{\"requests\":%lld,\"streams\":%lld,\"connections\":%lld,"
        "\"latency_ms\":%g,\"delay_ms\":%g,\"chunks\":%d}\n",
        n_requests, n_streams, n_conns, latency_us / 1e3, delay_us / 1e3, chunks);
    return put(c, out, snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        "Content-Length: %d\r\n\r\n%s", n, body));
}

/* Takes one whole request off the buffer, if it holds one, and starts its answer. */
static int serve(conn *c) {
    char *end, *p;
    size_t need;
    if (c->chunk >= 0 || !c->len) return 0;
    c->buf[c->len] = 0;
    if (!(end = strstr(c->buf, "\r\n\r\n"))) return 0;
    char *body = end + 4;
    *end = 0;
    if ((p = strcasestr(c->buf, "\r\ncontent-length:")))
        need = body - c->buf + strtoul(p + 17, NULL, 10);
    else if (strcasestr(c->buf, "\r\ntransfer-encoding: chunked")) {
        char *z = memmem(body, c->len - (body - c->buf), "0\r\n\r\n", 5);
        need = z ? (size_t)(z + 5 - c->buf) : BUF;
    } else need = body - c->buf;
    *end = '\r';
    if (need >= BUF) return need > BUF ? -1 : 0;
    if (c->len < need) return 0;
    int get = !memcmp(c->buf, "GET /__", 7), stream = 0;
    if (!get && (p = memmem(body, c->buf + need - body, "\"stream\"", 8))) {
        for (p += 8; *p == ' ' || *p == ':'; p++) ;
        stream = !strncmp(p, "true", 4);
    }
    if (get && control(c)) return -1;
    memmove(c->buf, c->buf + need, c->len -= need);
    if (get) return serve(c);
    n_requests++, n_streams += stream;
    c->stream = stream, c->chunk = 0, c->nchunks = chunks;
    if (latency_us) {
        enqueue(&q_latency, c, now_us() + latency_us);
        return 0;
    }
    return step(c);
}

static void run_due(queue *q) {
    long long now = now_us();
    while (q->head && q->head->due <= now) {
        conn *c = q->head;
        unqueue(c);
        if (step(c)) drop(c);
    }
}

int main(int argc, char **argv) {
    int one = 1, port = argc > 1 ? atoi(argv[1]) : 9100, ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event ev = {.events = EPOLLIN}, evs[256];
    setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(ls, (void *)&a, sizeof a) || listen(ls, 4096)) return perror("bind"), 1;
    socklen_t room = sizeof a;
    getsockname(ls, (void *)&a, &room);
    printf("listening on http://127.0.0.1:%d\n", ntohs(a.sin_port));
    fflush(stdout);
    answer_len = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        "x-request-id: req_mock\r\nopenai-processing-ms: 1\r\nContent-Length: %zu\r\n\r\n%s", sizeof BODY - 1, BODY);
    ep = epoll_create1(0);
    epoll_ctl(ep, EPOLL_CTL_ADD, ls, &ev);
    for (;;) {
        long long due = -1, now = now_us();
        if (q_latency.head) due = q_latency.head->due;
        if (q_delay.head && (due < 0 || q_delay.head->due < due)) due = q_delay.head->due;
        long long wait = due < 0 ? 1000000 : due > now ? due - now : 0;
        struct timespec ts = {wait / 1000000, wait % 1000000 * 1000};
        int n = epoll_pwait2(ep, evs, 256, &ts, NULL);
        for (int i = 0; i < n; i++) {
            conn *c = evs[i].data.ptr;
            if (!c) {
                for (int fd; (fd = accept4(ls, NULL, NULL, SOCK_NONBLOCK)) >= 0; n_conns++) {
                    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    c = calloc(1, sizeof *c);
                    c->fd = fd, c->chunk = -1, c->buf = malloc(BUF + 1);
                    ev.events = EPOLLIN, ev.data.ptr = c;
                    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
                }
                continue;
            }
            ssize_t r = recv(c->fd, c->buf + c->len, BUF - c->len, 0);
            if (r < 0 && (errno == EAGAIN || errno == EINTR)) continue;
            if (r <= 0) { drop(c); continue; }
            c->len += r;
            if (serve(c)) drop(c);
        }
        run_due(&q_latency);
        run_due(&q_delay);
    }
}
