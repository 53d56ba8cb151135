#compdef memstat membalance memguard
# SPDX-License-Identifier: MIT
# Completion for zsh. What can be completed, the command itself says in its --help: options, arguments, and columns.

# Running guests, or those of $which, if their libvirt is here: libvirt must not ask for a password in the middle of a line.
_memsched_domains() {
	local at=${words[(I)-c|--connect]} uri=qemu:///system
	((at)) && uri=$words[at+1]
	[[ $uri == *+* || $uri == *://[^/]* ]] && return 1
	compadd -- ${(f)"$(timeout 2 virsh -q -r -c "$uri" list --name ${which-} 2>/dev/null)"}
}

_memsched_guests() {
	local which=--inactive
	_memsched_domains
	_files -g '*.xml'
}

_memsched_columns() {
	compadd "$@" -- ${(f)"$($words[1] --help 2>/dev/null | sed -nE '/columns.*:$/I,/^$/s/^ +([a-z][a-z_-]*)( .*|$)/\1/p')"}
}

_memsched_logs() {
	compadd "$@" -- journal syslog
	_files "$@"
}

_memsched() {
	local -a specs
	local line name kind text action
	for line in ${(f)"$($words[1] --help 2>/dev/null)"}; do
		[[ $line =~ '^  (    |-., )(--[a-z-]+)(\[?[= ]([A-Z]+)\]?)? +(.*)$' ]] || continue
		name=$match[2] kind=$match[4] text=${match[5]//[][]/ }
		case $kind in
		'')
			specs+=("$name""[$text]")
			[[ $match[1] != -* ]] || specs+=("${match[1]%, }[$text]")
			continue
			;;
		FILE | COMMAND) action=_files ;;
		WHERE) action=_memsched_logs ;;
		DIR) action='_files -/' ;;
		GUEST) action=_memsched_guests ;;
		URI) action='(qemu\:///system qemu\:///session)' ;;
		COLUMN) action=_memsched_columns ;;
		LIST) action='_sequence _memsched_columns' ;;
		WORD) action='(idle needed)' ;;
		*) action=' ' ;;
		esac
		if [[ $match[3] == \[* ]]; then
			specs+=("$name=-[$text]::$kind:$action")
		else
			specs+=("$name=[$text]:$kind:$action")
			[[ $match[1] == -* ]] && specs+=("${match[1]%, }[$text]:$kind:$action")
		fi
	done
	[[ ${words[1]:t} == memstat ]] && specs+=('*:domain:_memsched_domains')
	_arguments -s $specs
}

_memsched "$@"
