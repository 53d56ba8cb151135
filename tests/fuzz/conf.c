/* SPDX-License-Identifier: MIT */
/* libFuzzer: any file as the configuration. What is said is safe to print; a value that was taken is taken again. */
#include <string.h>

#include "base/text.h"
#include "host/conffile.h"
#include "root.h"

static void check_words(const char *words)
{
	uint32_t code;
	size_t n;

	for (; *words; words += n) {
		n = text_decode(words, &code);
		check(n > 0 && text_is_plain(code));
	}
}

static void hear(void *arg, const char *sentence)
{
	unsigned *said = arg;

	*said += 1;
	check_words(sentence);
}

/* As options would set it. */
static void check_values(const struct conf *conf)
{
	struct conf again;

	check(conf_init(&again) == 0);
	for (size_t i = 0; conf_keys()[i].name; i++)
		if (conf->origin[i].value) {
			check_words(conf->origin[i].where);
			check(conf_set(&again, conf_keys()[i].name, conf->origin[i].value) == 0);
		}
	check(again.step_kib == conf->step_kib && again.interval_ms == conf->interval_ms);
	check(conf_target_kib(conf, 4194304) == conf_target_kib(&again, 4194304));
	check(conf_target_kib(conf, 4194304) >= 1024);
	conf_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;
	struct conf conf;
	unsigned said = 0;
	int r;

	if (!made)
		make_root("etc");
	made = true;
	put("etc/memsched.conf", data, size);
	check(conf_init(&conf) == 0);
	r = conf_load(&conf, root, NULL, hear, &said);
	check(r == 0 || said > 0);
	for (size_t i = 0; i < conf.n_warnings; i++)
		check_words(conf.warning[i]);
	if (r == 0)
		check_values(&conf);
	conf_clear(&conf);
	return 0;
}
