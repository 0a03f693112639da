/* What getent(1) says, by the resolver of whichever libc this is compiled with. */
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME}, *first, *each;
	char address[64], name[256];
	int failure = argc == 3 ? getaddrinfo(argv[2], NULL, &hints, &first) : EAI_SYSTEM;

	if (failure)
		return fputs(gai_strerror(failure), stderr), 2;
	for (each = first; each; each = each->ai_next) {
		if (*argv[1] == 'h')
			failure = getnameinfo(each->ai_addr, each->ai_addrlen, name, sizeof name, NULL, 0,
					      NI_NAMEREQD);
		if (failure)
			return fputs(gai_strerror(failure), stderr), 2;
		getnameinfo(each->ai_addr, each->ai_addrlen, address, sizeof address, NULL, 0,
			    NI_NUMERICHOST);
		printf("%s %s\n", address, *argv[1] == 'h' ? name : first->ai_canonname);
	}
	return 0;
}
