/*
 * So many frames, one send() each, and nothing else: what somebody gives to a benchmark of commands.
 *
 *   sends IFINDEX FRAMES FRAME     (FRAME in hexadecimal)
 */
#include <linux/if_packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MAX_FRAME 2048

int main(int argc, char **argv)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET };
	unsigned char frame[MAX_FRAME];
	size_t size = 0;
	unsigned long i, frames;
	unsigned int byte;
	const char *text;
	int fd;

	if (argc != 4) {
		fprintf(stderr, "usage: sends IFINDEX FRAMES FRAME\n");
		return 2;
	}
	address.sll_ifindex = atoi(argv[1]);
	frames = strtoul(argv[2], NULL, 10);
	for (text = argv[3]; size < MAX_FRAME && sscanf(text, "%2x", &byte) == 1; text += 2)
		frame[size++] = (unsigned char)byte;
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror("socket");
		return 1;
	}
	for (i = 0; i < frames; i++)
		if (send(fd, frame, size, 0) < 0) {
			perror("send");
			return 1;
		}
	return 0;
}
