# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion for memstat, membalance and memguard. What can be completed, the command itself says in its --help: options,
# what their arguments are called, and columns.

# The options of command $1, a line each, with the name of their argument; =NAME if it can only stand behind a =.
_memsched_options() {
	"$1" --help 2>/dev/null |
		sed -nE 's/^  (    |(-.), )(--[a-z-]+)(\[(=[A-Z]+)\]| ([A-Z]+))?( .*|$)/\2 \5\6\n\3 \5\6/; T; s/^ [^\n]*\n//; p'
}

# The first words of the lines below "... columns:".
_memsched_columns() {
	"$1" --help 2>/dev/null | sed -nE '/columns.*:$/I,/^$/s/^ +([a-z][a-z_-]*)( .*|$)/\1/p'
}

# Running guests of the libvirt at URI $1, or with --inactive the others, if it is here: libvirt must not ask for a password in
# the middle of a line. Names that would have to be quoted, or taken for options, are left to be typed.
_memsched_domains() {
	local name
	[[ $1 == *+* || $1 == *://[!/]* ]] ||
		timeout 2 virsh -q -r -c "${1:-qemu:///system}" list --name ${2+"$2"} 2>/dev/null | while IFS= read -r name; do
			[[ $name == -* || $name == *[![:alnum:].:@_+-]* ]] || printf '%s\n' "$name"
		done
}

# The URI given in the words of a line.
_memsched_uri() {
	local uri=
	while [ $# -gt 0 ]; do
		case $1 in
		-c | --connect) uri=${2-} ;;
		--connect=*) uri=${1#*=} ;;
		esac
		shift
	done
	printf '%s' "$uri"
}

# The possible values in place of $value, if the argument of $option is called $kind; a line each.
_memsched_values() {
	local command=$1 option=$2 kind=$3 value=$4 given column
	case $option=$kind in
	--take=*) printf '%s\n' idle needed ;;
	--log=*) printf '%s\n' journal syslog && compgen -f -- "$value" ;;
	--since=*) printf '%s\n' 2h 24h 7d 31d 1y ;;
	*=FILE | *=COMMAND) compgen -f -- "$value" ;;
	*=DIR) compgen -d -- "$value" ;;
	*=URI) printf '%s\n' qemu:///system qemu:///session qemu+ssh:// ;;
	*=GUEST) _memsched_domains "$5" --inactive && compgen -f -- "$value" ;;
	*=COLUMN) _memsched_columns "$command" | if [[ $value == -* ]]; then sed 's/^/-/'; else cat; fi ;;
	*=LIST)
		given=${value%"${value##*[,+]}"}
		for column in $(_memsched_columns "$command"); do
			[[ ,${given#+} == *",$column,"* ]] || printf '%s\n' "$given$column"
		done
		;;
	esac
}

_memsched() {
	local line=${COMP_LINE:0:COMP_POINT} command=$1 cut=${COMP_WORDS[COMP_CWORD]} words word value option head='' candidate
	local -A kinds=()
	while read -r option candidate; do
		kinds[$option]=$candidate
	done < <(_memsched_options "$command")

	# A word of bash's ends at = and : too, and it is only the part behind them that is replaced.
	read -ra words <<<"$line"
	word=${line##*[[:space:]]} value=$word
	[ -z "$word" ] || unset 'words[-1]'
	[[ $cut == [=:] ]] && cut=
	option=${words[-1]}
	[[ ${kinds[$option]-} == =* ]] && option=-
	[[ $word == --*=* ]] && option=${word%%=*} value=${word#*=} head=${word%%=*}=

	COMPREPLY=()
	while IFS= read -r candidate; do
		[[ $candidate != "$value"* ]] || COMPREPLY+=("${head}$candidate")
	done < <(
		if [ "${kinds[$option]-}" ]; then
			_memsched_values "$command" "$option" "${kinds[$option]#=}" "$value" "$(_memsched_uri "${words[@]}")"
		elif [[ $word == -* && ! $head ]]; then
			printf '%s\n' "${!kinds[@]}"
		elif [ "${command##*/}" = memstat ]; then
			_memsched_domains "$(_memsched_uri "${words[@]}")"
		fi
	)
	COMPREPLY=("${COMPREPLY[@]#"${word%"$cut"}"}")
	case ${kinds[$option]-} in
	*FILE | *DIR | *COMMAND | *WHERE | *GUEST) compopt -o filenames 2>/dev/null ;;
	*LIST | *URI) compopt -o nospace 2>/dev/null ;;
	esac
	return 0
}

complete -F _memsched memstat membalance memguard
