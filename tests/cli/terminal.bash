# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154 # world and root are the test's
# terminal.bash: terminals for tests, by tmux, with a shell in them and memstat -w in that. dir has their files, world is the URI
# that is watched, root what is its --root. Needs wait_for of cli.bash.

terminal_setup() {
	dir=$BATS_TEST_TMPDIR
	export LC_ALL=C.UTF-8
	unset NO_COLOR TMUX
}

terminal_end() {
	tmux -S "$dir/tmux" kill-server 2>/dev/null || :
}

pane() {
	tmux -S "$dir/tmux" -u "$@" 3>&-
}

# shell COLUMNSxROWS: where `w OPTIONS` runs memstat -w, leaves its number in pid, and tells how it ended.
shell() {
	cat >"$dir/rc" <<-END
		PS1='\$ '
		w() {
			stty -g >"$dir/before"
			(echo \$BASHPID >"$dir/pid"; exec memstat -w -c "$world" --root "$root" "\$@")
			echo "ended \$?"
			stty -g >"$dir/after"
			: >"$dir/over"
		}
	END
	pane -f /dev/null new-session -d -x "${1%x*}" -y "${1#*x}" "exec bash --noprofile --rcfile '$dir/rc' -i"
	type_line 'echo be""fore'
	sees 'before'
}

type_line() {
	pane send-keys -l "$*" ';' send-keys Enter
}

press() {
	pane send-keys "$@"
}

shown() {
	pane capture-pane -p
}

# sees REGEX…: waits until the terminal has shown each in a line. One process a look, for processes are slow.
sees() {
	unseen=("$@")
	wait_for shows_unseen || {
		printf '%s\n' "not seen: ${unseen[0]}" "${screen[@]}"
		return 1
	}
}

shows_unseen() {
	mapfile -t screen < <(exec tmux -S "$dir/tmux" -u capture-pane -p 3>&-)
	while [ "${#unseen[@]}" -gt 0 ]; do
		has_line "${unseen[0]}" || return
		unseen=("${unseen[@]:1}")
	done
}

has_line() {
	local line
	for line in "${screen[@]}"; do
		[[ ! $line =~ $1 ]] || return 0
	done
	return 1
}

# flags NAME…: their values in one word.
flags() {
	pane display-message -p "$(printf '#{%s}' "$@")"
}

# watching COLUMNSxROWS [OPTION…]: a shell with the bars of some guests in it.
watching() {
	shell "$1"
	type_line "w ${*:2}"
	sees '^Host'
	[ "$(flags alternate_on)" = 1 ]
}

# given_back CODE: what was there before is there again, and the terminal as it was.
given_back() {
	sees "^ended $1\$"
	wait_for test -e "$dir/over"
	is_as_before
}

is_as_before() {
	sees '^before$'
	cmp "$dir/before" "$dir/after"
	[ "$(flags alternate_on cursor_flag wrap_flag)" = 011 ]
	type_line 'echo still""here'
	sees '^stillhere$'
}
