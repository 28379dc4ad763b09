/* load.c - HTTP/1.1 load client for POST requests, plain or SSE (one thread, epoll).
 *
 *   cc -O2 -o load load.c
 *   ./load -u 127.0.0.1:9100/v1/chat/completions -c 16 -d 5 [-r RATE] [-n MAX] [-s]
 *          [-H 'Name: value']... [-b BODY]
 *
 *   -c  connections, kept alive       -d  seconds
 *   -r  open loop: requests per second at fixed times; latency then counts from the time
 *       at which a request was due, so a stalled gateway cannot hide its stall
 *   -n  stop after so many requests   -s  expect SSE: adds first-byte, chunk lag, events
 *
 * Prints one JSON object; times are in microseconds.  "lag" is the time from the upstream's
 * send() of a chunk (stamped by mock.c) to its receipt here.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUF 65536

typedef struct { unsigned *v; size_t n, cap; } samples;

typedef struct conn {
    int fd, busy, status, in_body, tail_len;
    long long start, left;          /* left: body bytes still to come, -1 when chunked */
    long long size, hex;            /* size of the current chunk, -1 in its size line; hex: that line so far */
    int digits, last;
    int first, closing;
    size_t len;
    char buf[BUF + 1], tail[32];
} conn;

static samples lat, ttfb, lag;
static struct sockaddr_in addr = {.sin_family = AF_INET};
static char *req;
static size_t req_len;
static int ep, sse, nconn = 1, rate;
static long long ok, bad, broken, events, started, finished, max_n = -1, t_begin, t_end;

static long long now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void add(samples *s, long long v) {
    if (s->n == s->cap) s->v = realloc(s->v, (s->cap = s->cap ? 2 * s->cap : 4096) * sizeof *s->v);
    s->v[s->n++] = v < 0 ? 0 : v;
}

static int cmp(const void *a, const void *b) {
    unsigned x = *(unsigned *)a, y = *(unsigned *)b;
    return x < y ? -1 : x > y;
}

static void show(const char *name, samples *s) {
    if (!s->n) return;
    double sum = 0;
    qsort(s->v, s->n, sizeof *s->v, cmp);
    for (size_t i = 0; i < s->n; i++) sum += s->v[i];
#define P(q) s->v[(size_t)((s->n - 1) * q)]
    printf(", \"%s\": {\"mean\": %.1f, \"p50\": %u, \"p90\": %u, \"p99\": %u, \"max\": %u}",
           name, sum / s->n, P(.5), P(.9), P(.99), s->v[s->n - 1]);
}

static void dial(conn *c) {
    int one = 1;
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (void *)&addr, sizeof addr)) { perror("connect"); exit(1); }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);
}

static void fire(conn *c, long long due) {
    c->busy = 1, c->start = due, c->in_body = c->first = c->closing = 0;
    c->len = c->tail_len = 0;
    started++;
    if (send(c->fd, req, req_len, MSG_NOSIGNAL) != (ssize_t)req_len) c->closing = 1;
}

/* Looks through body bytes for events and send stamps; a stamp may be cut by a read. */
static void scan(conn *c, const char *p, size_t n, long long now) {
    char *at;
    if (!c->first) { c->first = 1; add(&ttfb, now - c->start); }
    if (c->tail_len) {              /* finish what the last read cut off */
        char join[64];
        size_t take = n < 31 ? n : 31;
        memcpy(join, c->tail, c->tail_len);
        memcpy(join + c->tail_len, p, take);
        join[c->tail_len + take] = 0;
        if (c->tail_len + take >= 17 && strspn(join + 1, "0123456789") >= 16) {
            add(&lag, now - atoll(join + 1));
            events++;
        }
        c->tail_len = 0;
    }
    for (const char *e = p + n; (at = memchr(p, '@', e - p)); p = at + 1) {
        if (e - at < 17) { memcpy(c->tail, at, c->tail_len = e - at); break; }
        add(&lag, now - atoll(at + 1));
        events++;
    }
}

/* Eats body bytes; returns 1 when the body is complete. */
static int body(conn *c, char *p, size_t n, long long now) {
    if (c->left >= 0) {
        if (sse && n) scan(c, p, n, now);
        return (c->left -= n) <= 0;
    }
    while (n) {
        if (c->size < 0) {          /* in a size line, or the CRLF before it */
            char ch = *p++;
            n--;
            if (ch == '\n') {
                if (c->last && !c->digits) return 1;
                if (c->digits && !(c->size = c->hex)) c->last = 1, c->size = -1;
                c->digits = c->hex = 0;
            } else if (ch != '\r') {
                c->digits++;
                c->hex = c->hex * 16 + (ch <= '9' ? ch - '0' : (ch | 32) - 'a' + 10);
            }
        } else {
            size_t m = n < (size_t)c->size ? n : (size_t)c->size;
            if (sse) scan(c, p, m, now);
            p += m, n -= m;
            if (!(c->size -= m)) c->size = -1;
        }
    }
    return 0;
}

/* Returns 1 when the answer is complete, -1 when the connection is gone. */
static int readable(conn *c) {
    ssize_t r = recv(c->fd, c->buf + c->len, BUF - c->len, 0);
    long long now = now_us();
    if (r < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
    if (r <= 0) return -1;
    if (c->in_body) return body(c, c->buf, r, now);
    c->buf[c->len += r] = 0;
    char *end = strstr(c->buf, "\r\n\r\n"), *p;
    if (!end) return 0;
    end[2] = 0;
    c->status = atoi(c->buf + 9);
    c->closing = strcasestr(c->buf, "\r\nconnection: close") != NULL;
    p = strcasestr(c->buf, "\r\ncontent-length:");
    c->left = p ? atoll(p + 17) : -1;
    c->size = -1, c->hex = c->digits = c->last = 0, c->in_body = 1;
    size_t n = c->buf + c->len - (end + 4);
    c->len = 0;
    return n || !c->left ? body(c, end + 4, n, now) : 0;
}

int main(int argc, char **argv) {
    char *url = "127.0.0.1:9100/v1/chat/completions", heads[8192] = "", *text =
        "{\"model\":\"gpt-4o-mini\",\"messages\":[{\"role\":\"system\",\"content\":\"You are a helpful "
        "assistant.\"},{\"role\":\"user\",\"content\":\"Say hello to the benchmark, please.\"}],"
        "\"temperature\":0.7,\"max_tokens\":256}";
    double secs = 5;
    for (int o; (o = getopt(argc, argv, "u:c:d:r:n:H:b:s")) != -1;)
        switch (o) {
        case 'u': url = optarg; break;
        case 'c': nconn = atoi(optarg); break;
        case 'd': secs = atof(optarg); break;
        case 'r': rate = atoi(optarg); break;
        case 'n': max_n = atoll(optarg); break;
        case 'b': text = optarg; break;
        case 's': sse = 1; break;
        case 'H': strcat(strcat(heads, optarg), "\r\n"); break;
        default: return 2;
        }
    char host[64] = "", *colon = strchr(url, ':'), *slash = strchr(url, '/');
    memcpy(host, url, colon - url);
    addr.sin_port = htons(atoi(colon + 1));
    inet_pton(AF_INET, host, &addr.sin_addr);
    req_len = asprintf(&req, "POST %s HTTP/1.1\r\nHost: %.*s\r\nContent-Type: application/json\r\n"
        "Accept: */*\r\nUser-Agent: bench-load\r\n%sContent-Length: %zu\r\n\r\n%s",
        slash, (int)(slash - url), url, heads, strlen(text), text);
    ep = epoll_create1(0);
    conn *cs = calloc(nconn, sizeof *cs);
    for (int i = 0; i < nconn; i++) dial(&cs[i]);
    struct epoll_event evs[256];
    t_begin = now_us();
    t_end = t_begin + (long long)(secs * 1e6);
    long long next = t_begin, late = 0;
    int stop = 0, idle_at = 0, nfree = nconn;
    for (;;) {
        long long now = now_us();
        if (now >= t_end || (max_n >= 0 && started >= max_n)) stop = 1;
        while (!stop && nfree && (!rate || next <= now)) {
            while (cs[idle_at].busy) idle_at = (idle_at + 1) % nconn;
            fire(&cs[idle_at], rate ? next : now_us());
            nfree--;
            if (rate) next += 1000000 / rate;
            if (max_n >= 0 && started >= max_n) stop = 1;
        }
        if (stop && nfree == nconn) break;
        if (stop && !late) late = now + 20000000;
        if (late && now > late) { broken += nconn - nfree; break; }
        long long wait = rate && !stop && nfree ? next - now : 100000;
        struct timespec ts = {0, wait < 0 ? 0 : wait > 100000 ? 100000000 : wait * 1000};
        int n = epoll_pwait2(ep, evs, 256, &ts, NULL);
        for (int i = 0; i < n; i++) {
            conn *c = evs[i].data.ptr;
            int r = readable(c);
            if (!r) continue;
            if (r > 0 && c->busy) {
                finished = now_us();
                add(&lat, finished - c->start);
                if (c->status == 200) ok++; else bad++;
            } else if (c->busy) broken++;
            if (c->busy) nfree++;
            c->busy = 0;
            if (r < 0 || c->closing) { close(c->fd); dial(c); }
        }
    }
    double took = ((finished ? finished : now_us()) - t_begin) / 1e6;
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    printf("{\"ok\": %lld, \"bad\": %lld, \"broken\": %lld, \"secs\": %.3f, \"rps\": %.1f", ok, bad, broken, took, ok / took);
    printf(", \"load_cpu_s\": %.3f", ru.ru_utime.tv_sec + ru.ru_stime.tv_sec + (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
    show("latency", &lat);
    if (sse) {
        printf(", \"events\": %lld", events);
        show("ttfb", &ttfb);
        show("lag", &lag);
    }
    puts("}");
}
