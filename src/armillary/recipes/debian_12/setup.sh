#!/bin/sh
# Runs as root inside the finished tree, once, while the image is built. $ROOT_UUID names its file system,
# nothing in it is younger than $SOURCE_DATE_EPOCH.
set -eu

# --- packages: this computer's mirrors, as they were given to the builder
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/0000* /etc/apt/apt.conf.d/99mmdebstrap
cat /root/armillary/sources > /etc/apt/sources.list.d/debian.sources
[ ! -s /root/armillary/apt.conf ] || cat /root/armillary/apt.conf > /etc/apt/apt.conf.d/90armillary

# --- file systems
cat > /etc/fstab <<FSTAB
UUID=$ROOT_UUID / ext4 defaults,errors=remount-ro 0 1
LABEL=ephemeral0 /mnt auto defaults,noauto,nofail 0 0
FSTAB

# --- what starts
for unit in apt-daily.timer apt-daily-upgrade.timer apt-daily.service apt-daily-upgrade.service \
    dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service systemd-pstore.service \
    cloud-init-hotplugd.socket cloud-init-hotplugd.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
systemctl disable systemd-timesyncd.service
systemctl enable systemd-timesyncd.timer
systemctl enable systemd-networkd.service systemd-networkd-wait-online.service systemd-resolved.service

# --- kernel, initial ramdisk, boot loader
cat /root/armillary/initramfs-modules > /etc/initramfs-tools/modules
unset INITRD
update-initramfs -c -k all || update-initramfs -u -k all
version=$(ls /lib/modules | sort -V | tail -n 1)
mkdir -p /boot/grub/i386-pc
cp /usr/lib/grub/i386-pc/*.mod /usr/lib/grub/i386-pc/*.lst /usr/lib/grub/i386-pc/boot.img /boot/grub/i386-pc/
grub-mkimage -O i386-pc -p '(,msdos1)/boot/grub' -o /boot/grub/i386-pc/core.img \
    biosdisk part_msdos ext2 normal configfile linux search search_fs_uuid echo test minicmd loadenv
grub-editenv /boot/grub/grubenv create
# update-grub replaces this when a kernel comes or goes; until then nothing more is needed
cat > /boot/grub/grub.cfg <<GRUB
set default=0
set timeout=0
menuentry "Debian GNU/Linux" {
    search --no-floppy --fs-uuid --set=root $ROOT_UUID
    linux /boot/vmlinuz-$version root=UUID=$ROOT_UUID ro console=tty0 console=ttyS0,115200 net.ifnames=0 biosdevname=0
    initrd /boot/initrd.img-$version
}
GRUB

# --- Python: compiled once here instead of at every first import; checked by time, as that costs least at each import
python3 -m compileall -q --invalidation-mode timestamp /usr/local/lib/python3*/dist-packages || true

# --- no identity
echo "localhost" > /etc/hostname
printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n' > /etc/hosts
rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub /var/lib/systemd/random-seed /var/lib/dbus/machine-id
: > /etc/machine-id
rm -rf /var/log/journal /var/lib/cloud /root/armillary
find /var/log -type f -exec truncate -s 0 {} +
passwd -l root > /dev/null
# the day on which the system's accounts were made is that of the packages
sed -E -i "s/^([^:]*:[^:]*:)[0-9]+:/\\1$((SOURCE_DATE_EPOCH / 86400)):/" /etc/shadow /etc/shadow-
# tells systemd that /etc and /var know this /usr, so that the first boot rebuilds no caches
touch /etc/.updated /var/.updated
