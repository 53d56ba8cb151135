#include <stdlib.h>

#include "guest.h"

void guest_clear(struct guest *g)
{
	free(g->name);
	free(g->words);
	*g = (struct guest){.name = NULL};
}
